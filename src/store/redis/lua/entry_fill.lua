-- Gives a lease back, and puts the value in its place that its holder read while nothing else
-- happened.
-- KEYS: the entries of one kind of one user. ARGV: the entry's name, the lease, the value with nothing
-- for none, its life in ms.
-- 1: done; 0: the lease is gone or over, and with it the right to fill anything.
local lease = redis.call('HGET', KEYS[1], 'l' .. ARGV[1])
if not lease or string.sub(lease, 14) ~= ARGV[2] then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local filled = ARGV[3] == '' and 1 or 0
if filled == 0 and (tonumber(string.sub(lease, 1, 13)) or 0) > now then
  local ending = string.format('%013.0f', now + ARGV[4])
  -- First: on a full server the first write decides, and this one needs no memory.
  redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), ARGV[4]))
  filled = redis.pcall('HSET', KEYS[1], 'v' .. ARGV[1], ending .. ARGV[3])
  if type(filled) == 'number' then
    filled = 1
  end
end
-- At the end: a key without a field is gone, and in a slot that is moving nothing can follow.
redis.call('HDEL', KEYS[1], 'l' .. ARGV[1])
return filled
