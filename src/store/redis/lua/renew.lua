-- Moves a session to a new id: all or nothing, and what fails (a full store) fails before the
-- first change.
-- KEYS: old record, new record. ARGV: head of the old one, new value, its life in ms, deadline in
-- ms of this server's clock, life of the tombstone in ms.
-- 1: moved; 0: the old one is gone; -1: too late; -2: the new id cannot be used; else the old
-- record as it is now.
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[4]) then
  return -1
end
local head = redis.call('GETRANGE', KEYS[1], 0, 16)
if head == '' or head == 'T' then
  return 0
end
if head ~= ARGV[1] then
  return redis.call('GET', KEYS[1])
end
if not redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3], 'NX') then
  return -2
end
redis.call('DEL', KEYS[1])
redis.pcall('SET', KEYS[1], 'T', 'PX', ARGV[5])
return 1
