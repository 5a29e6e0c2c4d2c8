-- Removes from a record the mark of the session that it replaces, which has ended.
-- KEYS: the new record. ARGV: the mark without its last letter.
-- 1: removed; 0: there is no such mark.
local key, mark = KEYS[1], ARGV[1]
if redis.call('GETRANGE', key, 0, #mark - 1) ~= mark then
  return 0
end
local life = redis.call('PTTL', key)
-- First: on a full server the first write decides, and this one needs no memory.
redis.call('PEXPIRE', key, life)
redis.call('SET', key, redis.call('GETRANGE', key, #mark + 1, -1), 'PX', life)
return 1
