-- Replaces a record, if it has the version that the caller saw. A user's list outlives what it lists.
-- On a full server only by one that is no longer than what is there.
-- KEYS: the record, the user's index if there is a user. ARGV: its head ("R" and 16 hex digits of
-- version), new value, life in ms; id, when the session was created, life of the index in ms.
-- 1: saved; 0: gone; else the value that is there.
local head = redis.call('GETRANGE', KEYS[1], 0, 16)
if head == ARGV[1] then
  -- First: a key of another kind in the index's place fails here, before the first change.
  local listed = KEYS[2] and redis.call('HGET', KEYS[2], ARGV[4])
  if redis.call('GETRANGE', KEYS[1], #ARGV[2] - 1, #ARGV[2] - 1) ~= '' then
    -- Needs no memory. A full server decides at the first write.
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  if KEYS[2] then
    if listed ~= ARGV[5] then
      redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
    end
    if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[6]) then
      redis.call('PEXPIRE', KEYS[2], ARGV[6])
    end
  end
  return 1
end
if head == '' or head == 'T' or string.sub(head, 1, 1) == 'M' then
  return 0
end
return redis.call('GET', KEYS[1])
