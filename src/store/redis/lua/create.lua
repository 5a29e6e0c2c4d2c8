-- Creates a record under a fresh id, unless anything is there or the command comes too late.
-- KEYS: the record. ARGV: value, life in ms, deadline in ms of this server's clock.
-- 1: created; 0: the id cannot be used; -1: too late.
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[3]) then
  return -1
end
if redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then
  return 1
end
return 0
