-- Removes whatever is under a key, then leaves a tombstone if memory allows: a create that is
-- still under way finds the id used. Without anything there is nothing to mark, so strangers
-- cannot fill the store with tombstones.
-- KEYS: the record. ARGV: life of the tombstone in ms.
local found = redis.call('DEL', KEYS[1])
if found == 1 then
  redis.pcall('SET', KEYS[1], 'T', 'PX', ARGV[1])
end
return found
