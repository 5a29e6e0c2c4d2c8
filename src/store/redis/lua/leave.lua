-- Ends a session that was signed in under an id of another slot of a cluster, if it has the version that
-- the caller saw, and leaves under the old id what renew.lua does.
-- KEYS: the old record. ARGV: its head, or nothing for whatever version; new id, life in ms of what is
-- left, old id, where in a value the user stands, what stands before a user in an index's key, what is
-- hashed with a user, "r" if it is repeated since the slot was moving.
-- 1: it has ended for that id; 0: it was gone; 5: it was logged out; 2: it has ended, but the slot is
-- moving; else the old record as it is now.
local key, heir = KEYS[1], ARGV[2]
local before = redis.call('GET', key)
local first = before and string.sub(before, 1, 1) or ''
if first == 'M' then
  return string.sub(before, 18, 60) == heir and 1 or 0
end
if first == 'T' then
  if before == 'T' then
    return 5
  end
  return string.sub(before, 2) == heir and 1 or 0
end
if first == '' and ARGV[8] ~= 'r' then
  return 0
end
local is_other = ARGV[1] ~= '' and string.sub(before or '', 1, 17) ~= ARGV[1]
-- One that has another one to end, too, does that first.
if first ~= '' and (is_other or first == 'P' and ARGV[8] ~= 'r') then
  return before
end
local left = 'T' .. heir
if first == 'R' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  left = 'M' .. string.sub(before, 2, 17) .. heir .. string.format('%013.0f', now) .. string.sub(before, 18)
end
redis.call('DEL', key)
if redis.pcall('SET', key, left, 'PX', ARGV[3]).err then
  -- For want of memory.
  redis.pcall('SET', key, 'T' .. heir, 'PX', ARGV[3])
end
local place = tonumber(ARGV[5])
if first == 'R' and #before > place + 2 then
  local high, low = string.byte(before, place + 1, place + 2)
  local len = high * 256 + low
  if len < 65535 then
    redis.pcall('HDEL', index_of(ARGV[6], ARGV[7], string.sub(before, place + 3, place + 2 + len)), ARGV[4])
  end
end
return is_moving(key) and 2 or 1
