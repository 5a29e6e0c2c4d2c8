-- Replaces a record, if it has the version that the caller saw. A user's list outlives what it lists.
-- On a full server only by one that is no longer than what is there.
-- KEYS: the record, the user's index if there is a user. ARGV: its head ("R" and 16 hex digits of
-- version), new value, life in ms; id, when the session was created, life of the index in ms, and in
-- a cluster, where a save has one key and follows it to another node, the index.
-- 1: saved; 2: saved, and there is no index; 0: gone; else the value that is there.
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
  if ARGV[7] then
    -- Where the slot is moving the index may be at the other node: it is never created here.
    local left = redis.pcall('PTTL', ARGV[7])
    if left == -2 then
      return 2
    end
    if type(left) == 'number' and left > 0 then
      if redis.pcall('HGET', ARGV[7], ARGV[4]) ~= ARGV[5] then
        redis.pcall('HSET', ARGV[7], ARGV[4], ARGV[5])
      end
      if left < tonumber(ARGV[6]) then
        redis.pcall('PEXPIRE', ARGV[7], ARGV[6])
      end
    end
  end
  return 1
end
local first = string.sub(head, 1, 1)
if first == '' or first == 'T' or first == 'M' then
  return 0
end
return redis.call('GET', KEYS[1])
