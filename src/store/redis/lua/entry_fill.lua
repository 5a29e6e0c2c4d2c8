-- Gives a lease back, and puts the value in its place that its holder read while nothing else
-- happened.
-- KEYS: the entries of one kind of one user. ARGV: the entry's name, the lease, the value with nothing
-- for none, its life in ms.
-- 1: done; 0: the lease is gone or over, and with it the right to fill anything.
local lease = redis.call('HGET', KEYS[1], 'l' .. ARGV[1])
if not lease or string.sub(lease, 14) ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[1], 'l' .. ARGV[1])
if ARGV[3] == '' then
  return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if (tonumber(string.sub(lease, 1, 13)) or 0) <= now then
  return 0
end
local ending = string.format('%013.0f', now + ARGV[4])
redis.call('HSET', KEYS[1], 'v' .. ARGV[1], ending .. ARGV[3])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
