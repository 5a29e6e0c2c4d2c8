-- Signs a user in, or moves a session of theirs to a new id: all or nothing, and what fails (a full
-- store) fails before the first change. Leaves under the old id what renew.lua does. Ends the oldest of
-- too many sessions in the same step. The records of the others are found by the index and not
-- declared: they are in its slot, except for those of another tag, in a cluster, which are returned.
-- KEYS: the user's index, new record, old record if there is one. ARGV: new value, its life in ms,
-- deadline in ms of this server's clock, life of a tombstone in ms, head of the old record, the
-- user's epoch or nothing, the limit or nothing, what stands before an id in a record's key, new id,
-- old id, when the session was created, life of the index in ms, how long a record stays after its
-- end at most in ms, where its activity starts, what stands before a user in an index's key, where in
-- a value the user stands, what is hashed with a user; in a cluster the user's tag, and "c" if the
-- sessions of another tag that are no more have left the index.
-- 1, or ids of another tag to end: done; 0: the old one is gone; -1: too late; -2: the new id cannot
-- be used; -3: the epoch is another; -4: the slot is moving; -5: too many sessions, some of another
-- tag, of which it is unknown whether they are alive; else the old record as it is now.
local index, prefix, tag = KEYS[1], ARGV[8], ARGV[18]
if tag ~= '' and is_moving(index) then
  return -4
end

local elsewhere = {}
local function is_elsewhere(id)
  return tag ~= '' and string.sub(id, 41) ~= tag
end

local function finish(id)
  local key = key_of(prefix, id)
  if is_elsewhere(id) then
    elsewhere[#elsewhere + 1] = id
    return
  end
  redis.call('DEL', key)
  redis.pcall('SET', key, 'T', 'PX', ARGV[4])
  redis.call('HDEL', index, id)
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[3]) then
  return -1
end
-- Asked in any case: a key of another kind in the index's place fails here, before the first change.
local epoch = redis.call('HGET', index, 'epoch') or '0'
if ARGV[6] ~= '' and epoch ~= ARGV[6] then
  return -3
end
local before
if KEYS[3] then
  before = redis.call('GET', KEYS[3])
  local first = before and string.sub(before, 1, 1)
  if not before or first == 'T' or first == 'M' then
    return 0
  end
  if string.sub(before, 1, 17) ~= ARGV[5] then
    return before
  end
end

-- A few entries of sessions that are no more, so that there are never many of them; all of them, and
-- the others by their age, where there is a limit. Looked at before the first change.
local dead, others, unknown = {}, {}, false
local function lives(id)
  if id == 'epoch' or id == ARGV[9] or id == ARGV[10] then
    return false
  end
  if is_elsewhere(id) then
    unknown = ARGV[19] ~= 'c'
    return true
  end
  local key = key_of(prefix, id)
  local first = kind(key)
  if first ~= 'R' and first ~= 'P' then
    dead[#dead + 1] = id
    return false
  end
  return alive(key, first, ARGV[13], ARGV[14])
end
if ARGV[7] == '' then
  for _, id in ipairs(redis.call('HRANDFIELD', index, 8)) do
    lives(id)
  end
else
  local entries = redis.call('HGETALL', index)
  for i = 1, #entries, 2 do
    local id = entries[i]
    if lives(id) then
      others[#others + 1] = { tonumber(entries[i + 1]), id }
    end
  end
  if unknown and #others >= tonumber(ARGV[7]) then
    return -5
  end
  table.sort(others, function(one, other)
    if one[1] == other[1] then
      return one[2] > other[2]
    end
    return one[1] > other[1]
  end)
end

if not redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2], 'NX') then
  return -2
end
redis.call('HSET', index, ARGV[9], ARGV[11])
if redis.call('PTTL', index) < tonumber(ARGV[12]) then
  redis.call('PEXPIRE', index, ARGV[12])
end
if before then
  redis.call('DEL', KEYS[3])
  local moved = 'M' .. string.sub(before, 2, 17) .. ARGV[9] .. string.format('%013.0f', now)
  redis.pcall('SET', KEYS[3], moved .. string.sub(before, 18), 'PX', ARGV[4])
  redis.call('HDEL', index, ARGV[10])
  -- It may have been another user's, whose list it leaves too: that is found by the record and not
  -- declared.
  local place = tonumber(ARGV[16])
  if #before > place + 2 then
    local high, low = string.byte(before, place + 1, place + 2)
    local len = high * 256 + low
    local other = index_of(ARGV[15], ARGV[17], string.sub(before, place + 3, place + 2 + len))
    if len < 65535 and other ~= index then
      -- Whatever comes of it: an entry without a session is none.
      redis.pcall('HDEL', other, ARGV[10])
    end
  end
end
for _, id in ipairs(dead) do
  redis.call('HDEL', index, id)
end
if ARGV[7] ~= '' then
  for i = tonumber(ARGV[7]), #others do
    finish(others[i][2])
  end
end
return #elsewhere > 0 and elsewhere or 1
