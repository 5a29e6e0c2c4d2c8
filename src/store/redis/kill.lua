-- Removes whatever is under a key, then leaves a tombstone if memory allows: a create that is
-- still under way finds the id used. Without anything there is nothing to mark, so strangers
-- cannot fill the store with tombstones. A user's session leaves the user's index too; only for a
-- single primary, since the index is found by the record.
-- KEYS: the record. ARGV: life of the tombstone in ms, id, where in the value the user stands, what
-- stands before a user in an index's key.
local place = tonumber(ARGV[3])
local head = redis.pcall('GETRANGE', KEYS[1], 0, place + 1025)
local found = redis.call('DEL', KEYS[1])
if found == 1 then
  redis.pcall('SET', KEYS[1], 'T', 'PX', ARGV[1])
  if type(head) == 'string' and #head > place + 2 and string.sub(head, 1, 1) == 'R' then
    local high, low = string.byte(head, place + 1, place + 2)
    local len = high * 256 + low
    if len < 65535 then
      redis.pcall('HDEL', ARGV[4] .. string.sub(head, place + 3, place + 2 + len), ARGV[2])
    end
  end
end
return found
