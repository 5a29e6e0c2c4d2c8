-- Removes all entries of one kind of one user, and all leases, on a node of a cluster.
-- KEYS: the entries. ARGV: life of a mark in ms, "r" if it is repeated, since the slot was moving or a
-- reply was lost: what a move brings along later finds the key in use then, if memory allows.
-- 1: removed; 2: removed here, but the slot is moving.
redis.call('DEL', KEYS[1])
if ARGV[2] == 'r' and type(redis.pcall('HSET', KEYS[1], 'm', '')) ~= 'table' then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return is_moving(KEYS[1]) and 2 or 1
