-- Ends all sessions of a user but one that may be kept, leaves tombstones if memory allows, and gives the user another epoch.
-- Only for a single primary: the records are found by the index.
-- KEYS: the user's index. ARGV: what stands before an id in a record's key, life of a tombstone in
-- ms, life of the index in ms, how long a record stays after its end in ms, the id to keep or nothing.
-- How many sessions were alive.
local entries = redis.call('HGETALL', KEYS[1])
local epoch, count, kept = 0, 0, nil
for i = 1, #entries, 2 do
  if entries[i] == 'epoch' then
    epoch = tonumber(entries[i + 1])
  elseif entries[i] == ARGV[5] then
    kept = entries[i + 1]
  else
    local key = ARGV[1] .. entries[i]
    if redis.pcall('GETRANGE', key, 0, 0) == 'R'
      and redis.call('PTTL', key) > tonumber(ARGV[4]) then
      count = count + 1
    end
    if redis.call('DEL', key) == 1 then
      redis.pcall('SET', key, 'T', 'PX', ARGV[2])
    end
  end
end
-- Never one that there was before, also if the index was lost in between.
local time = redis.call('TIME')
epoch = math.max(epoch + 1, time[1] * 1000000 + time[2])
local life = redis.call('PTTL', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch))
if kept then
  redis.call('HSET', KEYS[1], ARGV[5], kept)
end
redis.call('PEXPIRE', KEYS[1], kept and math.max(life, tonumber(ARGV[3])) or ARGV[3])
return count
