-- Removes whatever is under a key, or only a record at the version that the caller saw. Then leaves a
-- tombstone if memory allows: a create that is still under way finds the id used. Without anything
-- there is nothing to mark, so strangers cannot fill the store with tombstones. A user's session leaves
-- the user's index too, which is found by the record and not declared.
-- Of what has moved to another id the record there is removed, which is found by what was left.
-- KEYS: the record. ARGV: life of the tombstone in ms, id, where in the value the user stands, what
-- stands before a user in an index's key, the record's head or nothing for whatever is there, what
-- stands before an id in a record's key, how many moves are followed, what is hashed with a user; in
-- a cluster "c", and "r" if it is repeated since the slot was moving: what the move has left behind or
-- brings along later is dead too.
-- 1: removed; 0: gone; 2: removed, but the slot is moving; in a cluster the 43 characters of an id
-- which has to be removed instead; else the value that is there. A pair: removed, and an id which
-- has to be removed, too.
local place = tonumber(ARGV[3])
local key, id, other = KEYS[1], ARGV[2], nil
local value = redis.pcall('GETRANGE', key, 0, place + 1087)
for _ = 1, ARGV[5] == '' and tonumber(ARGV[7]) or 0 do
  if type(value) ~= 'string' or string.sub(value, 1, 1) ~= 'M' then
    break
  end
  local next_id = string.sub(value, 18, 60)
  -- In a cluster by a call of its own: where the slot is moving it may be at the other node.
  if ARGV[9] ~= '' then
    return next_id
  end
  id = next_id
  key = key_of(ARGV[6], id)
  value = redis.pcall('GETRANGE', key, 0, place + 1087)
end
if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then
  return value
end
-- A key of another kind can be removed and has no head.
local text = type(value) == 'string' and value or ''
local first = string.sub(text, 1, 1)
if ARGV[5] ~= '' then
  local head = string.sub(text, 1, #ARGV[5])
  if first == 'T' or first == 'M' or (first == '' and type(value) == 'string') then
    return 0
  end
  if head ~= ARGV[5] then
    return redis.call('GET', key)
  end
end
if ARGV[5] == '' and first == 'T' and #text == 44 then
  -- It has ended for that id.
  return string.sub(text, 2)
end
if first == 'T' or redis.call('DEL', key) == 0 and ARGV[9] ~= 'r' then
  return 0
end
redis.pcall('SET', key, 'T', 'PX', ARGV[1])
if first == 'P' then
  other, text = string.sub(text, 2, 44), string.sub(text, 63)
end
if #text > place + 2 and string.sub(text, 1, 1) == 'R' then
  local high, low = string.byte(text, place + 1, place + 2)
  local len = high * 256 + low
  if len < 65535 then
    -- Whatever comes of it: the session has ended, and an entry without one is none.
    local user = string.sub(text, place + 3, place + 2 + len)
    redis.pcall('HDEL', index_of(ARGV[4], ARGV[8], user), id)
  end
end
local done = 1
if ARGV[9] ~= '' and is_moving(key) then
  done = 2
end
return other and {done, other} or done
