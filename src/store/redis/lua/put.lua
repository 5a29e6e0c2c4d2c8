-- Brings a copy up to date with the database, and never makes one: what is late finds nothing.
-- KEYS: the copy. ARGV: the head of the new value ("R" and 16 hex digits of version), the value,
-- its life in ms.
-- 1: replaced; 0: there was none, or one as new; a lease, a note that there is nothing, or
-- what is no copy, is removed.
local head = redis.call('GETRANGE', KEYS[1], 0, 16)
if head == '' then
  return 0
end
if #head ~= 17 or string.byte(head) ~= 82 then
  redis.call('DEL', KEYS[1])
  return 0
end
if head >= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
