-- Replaces a record whose sign-in was never acknowledged by what was written under the old id since: the
-- new id has the old session's content, and ends the old one at its new version.
-- KEYS: the new record. ARGV: its mark, the new mark and the old record, life in ms, the key of the
-- user's index or nothing, the new id.
-- 1: done; 0: there is no such mark.
local key, mark = KEYS[1], ARGV[1]
if redis.call('GETRANGE', key, 0, #mark - 1) ~= mark then
  return 0
end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
if ARGV[4] ~= '' then
  redis.pcall('HDEL', ARGV[4], ARGV[5])
end
return 1
