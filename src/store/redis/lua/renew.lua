-- Moves a session to a new id: all or nothing, and what fails (a full store) fails before the
-- first change. Under the old id stays what was there, as moved: "M", its version, the new id, the
-- time in ms as 13 digits, its bytes.
-- KEYS: old record, new record. ARGV: head of the old one, new value, its life in ms, deadline in
-- ms of this server's clock, life in ms of what is left, new id.
-- 1: moved; 0: the old one is gone; -1: too late; -2: the new id cannot be used; else the old
-- record as it is now.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[4]) then
  return -1
end
local before = redis.call('GET', KEYS[1])
local first = before and string.sub(before, 1, 1)
if not before or first == 'T' or first == 'M' then
  return 0
end
if string.sub(before, 1, 17) ~= ARGV[1] then
  return before
end
if not redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3], 'NX') then
  return -2
end
redis.call('DEL', KEYS[1])
local moved = 'M' .. string.sub(before, 2, 17) .. ARGV[6] .. string.format('%013.0f', now)
redis.pcall('SET', KEYS[1], moved .. string.sub(before, 18), 'PX', ARGV[5])
return 1
