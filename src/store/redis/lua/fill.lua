-- Turns a lease into the copy that its holder read from the database while nothing else happened.
-- KEYS: the copy. ARGV: the lease, the value, its life in ms.
-- 1: filled; 0: the lease is gone, and with it the right to create anything.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
