-- Writes activity down in a copy in place: no new version, no new key, and never an earlier deadline. A
-- copy ends with "TRSa" and the activity that the database has, 8 bytes, big-endian, or with "TRSr" and
-- the same if it was made of a row that may be behind.
-- KEYS: the copy. ARGV: its head, the fields (last activity and idle deadline, 8 bytes each, big-endian),
-- where they start, life in ms, the activity that the database has now or nothing.
-- 1: written; 2: the copy is as recent; 3: the server takes no change; 0: it is another, or gone. And
-- the activity that the database has, or nothing.
local key = KEYS[1]
if redis.call('GETRANGE', key, 0, 16) ~= ARGV[1] then
  return {0, ''}
end
local stored = redis.call('GETRANGE', key, -12, -1)
local mark = string.sub(stored, 1, 4)
local known = mark == 'TRSa' or mark == 'TRSr'
stored = known and string.sub(stored, 5) or ''

-- What a server without memory or disk says is no reason to keep silent about the rest; what a replica
-- says is, and so is a right that is missing.
local function refused(answer)
  for _, want in ipairs({'OOM', 'MISCONF', 'NOREPLICAS'}) do
    if type(answer) == 'table' and answer.err and string.find(answer.err, want, 1, true) then
      return true
    end
  end
  return false
end

if ARGV[5] ~= '' then
  -- By commands that a user of Redis has the right to for the rest of them.
  local length = #redis.call('GET', key)
  local noted = redis.pcall('SETRANGE', key, known and length - 12 or length, 'TRSa' .. ARGV[5])
  if type(noted) == 'table' and not refused(noted) then
    return noted
  end
  return {2, ARGV[5]}
end
local start = tonumber(ARGV[3])
local deadline = redis.call('GETRANGE', key, start + 8, start + 15)
if #deadline ~= 8 then
  return {0, ''}
end
if struct.unpack('>I8', deadline) >= struct.unpack('>I8', ARGV[2], 9) then
  return {2, stored}
end
-- In this order: a full server refuses only a first write that may need memory.
redis.call('PEXPIRE', key, ARGV[4])
local written = redis.pcall('SETRANGE', key, start, ARGV[2])
if type(written) == 'table' then
  return refused(written) and {3, stored} or written
end
return {1, stored}
