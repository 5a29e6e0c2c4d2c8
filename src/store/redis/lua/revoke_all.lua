-- Ends all sessions of a user but one that may be kept, leaves tombstones, and gives the user another
-- epoch. The records are found by the index and not declared: they are in its slot, except for those
-- of another tag, in a cluster, which are returned.
-- KEYS: the user's index. ARGV: what stands before an id in a record's key, life of a tombstone in
-- ms, life of the index in ms, how long a record stays after its end at most in ms, the id to keep or
-- nothing, where its activity starts, in a cluster the user's tag.
-- How many sessions were alive, and behind it ids of another tag to end, which the list keeps until
-- they have ended; -4: the slot is moving.
if ARGV[7] ~= '' and is_moving(KEYS[1]) then
  return -4
end
local entries = redis.call('HGETALL', KEYS[1])
local epoch, count, kept, others, elsewhere = 0, 0, false, {}, {}

-- All that is looked at comes before the first change.
for i = 1, #entries, 2 do
  if entries[i] == 'epoch' then
    epoch = tonumber(entries[i + 1])
  elseif entries[i] == ARGV[5] then
    kept = true
  elseif ARGV[7] ~= '' and string.sub(entries[i], 41) ~= ARGV[7] then
    elsewhere[#elsewhere + 1] = entries[i]
  else
    local key = key_of(ARGV[1], entries[i])
    local first = kind(key)
    if (first == 'R' or first == 'P') and alive(key, first, ARGV[4], ARGV[6]) then
      count = count + 1
    end
    others[#others + 1] = { entries[i], first }
  end
end
-- Never one that there was before, also if the index was lost in between.
local time = redis.call('TIME')
epoch = math.max(epoch + 1, time[1] * 1000000 + time[2])
local life = tonumber(ARGV[3])
if kept then
  life = math.max(life, redis.call('PTTL', KEYS[1]))
end
-- The first write needs no memory, which lets a full server take the others as well. One that
-- refuses the last of them all the same is left with sessions ended and a list that is true.
redis.call('PEXPIRE', KEYS[1], life)
for _, other in ipairs(others) do
  local key = key_of(ARGV[1], other[1])
  -- What one was that has moved to another user opens nothing, and says where it is.
  if other[2] ~= 'M' and redis.call('DEL', key) == 1 then
    redis.pcall('SET', key, 'T', 'PX', ARGV[2])
  end
  redis.call('HDEL', KEYS[1], other[1])
end
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch))
redis.call('PEXPIRE', KEYS[1], life)
if #elsewhere == 0 then
  return count
end
table.insert(elsewhere, 1, count)
return elsewhere
