-- Signs a user in, or moves a session of theirs to a new id: all or nothing, and what fails (a full
-- store) fails before the first change. Ends the oldest of too many sessions in the same step. Only
-- for a single primary: the records of the others are found by the index.
-- KEYS: the user's index, new record, old record if there is one. ARGV: new value, its life in ms,
-- deadline in ms of this server's clock, life of a tombstone in ms, head of the old record, the
-- user's epoch or nothing, the limit or nothing, what stands before an id in a record's key, new id,
-- old id, when the session was created, life of the index in ms, how long a record stays after its
-- end in ms.
-- 1: done; 0: the old one is gone; -1: too late; -2: the new id cannot be used; -3: the epoch is
-- another; else the old record as it is now.
local index, prefix = KEYS[1], ARGV[8]

local function finish(id)
  local key = prefix .. id
  redis.call('DEL', key)
  redis.pcall('SET', key, 'T', 'PX', ARGV[4])
  redis.call('HDEL', index, id)
end

local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[3]) then
  return -1
end
-- Asked in any case: a key of another kind in the index's place fails here, before the first change.
local epoch = redis.call('HGET', index, 'epoch') or '0'
if ARGV[6] ~= '' and epoch ~= ARGV[6] then
  return -3
end
if KEYS[3] then
  local head = redis.call('GETRANGE', KEYS[3], 0, 16)
  if head == '' or head == 'T' then
    return 0
  end
  if head ~= ARGV[5] then
    return redis.call('GET', KEYS[3])
  end
end
if not redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2], 'NX') then
  return -2
end
redis.call('HSET', index, ARGV[9], ARGV[11])
if redis.call('PTTL', index) < tonumber(ARGV[12]) then
  redis.call('PEXPIRE', index, ARGV[12])
end
if KEYS[3] then
  finish(ARGV[10])
end

-- A few entries of sessions that are no more, so that there are never many of them.
for _, id in ipairs(redis.call('HRANDFIELD', index, 8)) do
  if id ~= 'epoch' and redis.pcall('GETRANGE', prefix .. id, 0, 0) ~= 'R' then
    redis.call('HDEL', index, id)
  end
end

if ARGV[7] ~= '' then
  local others = {}
  local entries = redis.call('HGETALL', index)
  for i = 1, #entries, 2 do
    local id = entries[i]
    if id ~= 'epoch' and id ~= ARGV[9] then
      local key = prefix .. id
      if redis.pcall('GETRANGE', key, 0, 0) ~= 'R' then
        redis.call('HDEL', index, id)
      elseif redis.call('PTTL', key) > tonumber(ARGV[13]) then
        others[#others + 1] = { tonumber(entries[i + 1]), id }
      end
    end
  end
  table.sort(others, function(one, other)
    if one[1] == other[1] then
      return one[2] > other[2]
    end
    return one[1] > other[1]
  end)
  for i = tonumber(ARGV[7]), #others do
    finish(others[i][2])
  end
end
return 1
