-- Removes whatever is under a key, or only a record at the version that the caller saw. Then leaves a
-- tombstone if memory allows: a create that is still under way finds the id used. Without anything
-- there is nothing to mark, so strangers cannot fill the store with tombstones. A user's session leaves
-- the user's index too, which is found by the record and not declared.
-- KEYS: the record. ARGV: life of the tombstone in ms, id, where in the value the user stands, what
-- stands before a user in an index's key, the record's head or nothing for whatever is there.
-- 1: removed; 0: gone; else the value that is there.
local place = tonumber(ARGV[3])
local value = redis.pcall('GETRANGE', KEYS[1], 0, place + 1025)
if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then
  return value
end
-- A key of another kind can be removed and has no head.
local text = type(value) == 'string' and value or ''
if ARGV[5] ~= '' then
  local head = string.sub(text, 1, #ARGV[5])
  if head == 'T' or (head == '' and type(value) == 'string') then
    return 0
  end
  if head ~= ARGV[5] then
    return redis.call('GET', KEYS[1])
  end
end
if redis.call('DEL', KEYS[1]) == 0 then
  return 0
end
redis.pcall('SET', KEYS[1], 'T', 'PX', ARGV[1])
if #text > place + 2 and string.sub(text, 1, 1) == 'R' then
  local high, low = string.byte(text, place + 1, place + 2)
  local len = high * 256 + low
  if len < 65535 then
    -- Whatever comes of it: the session has ended, and an entry without one is none.
    redis.pcall('HDEL', ARGV[4] .. string.sub(text, place + 3, place + 2 + len), ARGV[2])
  end
end
return 1
