-- Enters a session of another slot of a cluster in the list of its user.
-- KEYS: the user's index. ARGV: id, when the session was created, life of the index in ms.
-- 1: entered; -4: the slot is moving.
if is_moving(KEYS[1]) then
  return -4
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
