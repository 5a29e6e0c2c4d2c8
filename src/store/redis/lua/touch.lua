-- Writes activity down in place: no new version, no new key, and never an earlier deadline.
-- KEYS: the record. ARGV: its head, the fields (last activity and idle deadline, 8 bytes each,
-- big-endian), where they start, life in ms.
-- 1: written; 2: the record is as recent; 0: it is another, or gone.
if redis.call('GETRANGE', KEYS[1], 0, 16) ~= ARGV[1] then
  return 0
end
local start = tonumber(ARGV[3])
local deadline = redis.call('GETRANGE', KEYS[1], start + 8, start + 15)
if #deadline ~= 8 then
  return 0
end
if struct.unpack('>I8', deadline) >= struct.unpack('>I8', ARGV[2], 9) then
  return 2
end
-- In this order: a full server refuses only a first write that may need memory, and the second
-- one replaces bytes.
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SETRANGE', KEYS[1], start, ARGV[2])
return 1
