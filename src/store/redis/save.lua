-- Replaces a record, if it has the version that the caller saw.
-- KEYS: the record. ARGV: its head ("R" and 16 hex digits of version), new value, life in ms.
-- 1: saved; 0: gone; else the value that is there.
local head = redis.call('GETRANGE', KEYS[1], 0, 16)
if head == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
if head == '' or head == 'T' then
  return 0
end
return redis.call('GET', KEYS[1])
