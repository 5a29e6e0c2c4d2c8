-- Reads an entry of the directory, and takes the right to fill it if it is due and nobody has it.
-- KEYS: the entries of one kind of one user. ARGV: the entry's name, a new lease, its life in ms, the
-- ms before its end at which an entry is due.
-- The value, if there is one that lives, and: 0: it is not due; 1: the lease is the caller's; 2: it
-- is somebody else's; 3: the server takes no lease, for want of memory, of a disk or of replicas.
-- Every field begins with 13 digits: its end, in ms of this server's clock.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function living(field)
  local stored = redis.call('HGET', KEYS[1], field)
  local left = stored and (tonumber(string.sub(stored, 1, 13)) or 0) - now
  if stored and left > 0 then
    return string.sub(stored, 14), left
  end
  return false, 0
end
local value, left = living('v' .. ARGV[1])
if value and left > tonumber(ARGV[4]) then
  return {value, 0}
end
if living('l' .. ARGV[1]) then
  return {value, 2}
end
local ending = string.format('%013.0f', now + ARGV[3])
local set = redis.pcall('HSET', KEYS[1], 'l' .. ARGV[1], ending .. ARGV[2])
if type(set) == 'table' then
  for _, want in ipairs({'OOM', 'MISCONF', 'NOREPLICAS'}) do
    if string.find(set.err, want, 1, true) then
      return {value, 3}
    end
  end
  -- Anything else is told: a replica, whose connection is to be given up; a right that is missing.
  return set
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {value, 1}
