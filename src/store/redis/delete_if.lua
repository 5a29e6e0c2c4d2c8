-- Removes a record, if it has the version that the caller saw, and leaves a tombstone if memory
-- allows. A user's session leaves the user's index too; only for a single primary, since the index is
-- found by the record.
-- KEYS: the record. ARGV: its head, life of the tombstone in ms, id, where in the value the user
-- stands, what stands before a user in an index's key.
-- 1: removed; 0: gone; else the value that is there.
local place = tonumber(ARGV[4])
local value = redis.call('GETRANGE', KEYS[1], 0, place + 1025)
local head = string.sub(value, 1, 17)
if head == '' or head == 'T' then
  return 0
end
if head ~= ARGV[1] then
  return redis.call('GET', KEYS[1])
end
redis.call('DEL', KEYS[1])
redis.pcall('SET', KEYS[1], 'T', 'PX', ARGV[2])
if #value > place + 2 then
  local high, low = string.byte(value, place + 1, place + 2)
  local len = high * 256 + low
  if len < 65535 then
    redis.pcall('HDEL', ARGV[5] .. string.sub(value, place + 3, place + 2 + len), ARGV[3])
  end
end
return 1
