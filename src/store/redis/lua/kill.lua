-- Removes whatever is under a key, or only a record at the version that the caller saw. Then leaves a
-- tombstone if memory allows: a create that is still under way finds the id used. Without anything
-- there is nothing to mark, so strangers cannot fill the store with tombstones. A user's session leaves
-- the user's index too, which is found by the record and not declared.
-- Of what has moved to another id the record there is removed, which is found by what was left.
-- KEYS: the record. ARGV: life of the tombstone in ms, id, where in the value the user stands, what
-- stands before a user in an index's key, the record's head or nothing for whatever is there, what
-- stands before an id in a record's key, how many moves are followed.
-- 1: removed; 0: gone; else the value that is there.
local place = tonumber(ARGV[3])
local key, id = KEYS[1], ARGV[2]
local value = redis.pcall('GETRANGE', key, 0, place + 1025)
for _ = 1, ARGV[5] == '' and tonumber(ARGV[7]) or 0 do
  if type(value) ~= 'string' or string.sub(value, 1, 1) ~= 'M' then
    break
  end
  id = string.sub(value, 18, 60)
  key = ARGV[6] .. id
  value = redis.pcall('GETRANGE', key, 0, place + 1025)
end
if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then
  return value
end
-- A key of another kind can be removed and has no head.
local text = type(value) == 'string' and value or ''
if ARGV[5] ~= '' then
  local head = string.sub(text, 1, #ARGV[5])
  if head == 'T' or string.sub(head, 1, 1) == 'M' or (head == '' and type(value) == 'string') then
    return 0
  end
  if head ~= ARGV[5] then
    return redis.call('GET', key)
  end
end
if text == 'T' or redis.call('DEL', key) == 0 then
  return 0
end
redis.pcall('SET', key, 'T', 'PX', ARGV[1])
if #text > place + 2 and string.sub(text, 1, 1) == 'R' then
  local high, low = string.byte(text, place + 1, place + 2)
  local len = high * 256 + low
  if len < 65535 then
    -- Whatever comes of it: the session has ended, and an entry without one is none.
    redis.pcall('HDEL', ARGV[4] .. string.sub(text, place + 3, place + 2 + len), id)
  end
end
return 1
