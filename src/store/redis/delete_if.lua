-- Removes a record, if it has the version that the caller saw, and leaves a tombstone if memory
-- allows.
-- KEYS: the record. ARGV: its head, life of the tombstone in ms.
-- 1: removed; 0: gone; else the value that is there.
local head = redis.call('GETRANGE', KEYS[1], 0, 16)
if head == '' or head == 'T' then
  return 0
end
if head ~= ARGV[1] then
  return redis.call('GET', KEYS[1])
end
redis.call('DEL', KEYS[1])
redis.pcall('SET', KEYS[1], 'T', 'PX', ARGV[2])
return 1
