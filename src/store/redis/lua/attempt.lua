-- Counts an attempt or throttles it, settles one, or forgives failures: see store/attempts.rs.
-- KEYS: the bucket of each counter (site, network, pair, account), then that of the known network.
-- ARGV: begin, succeed or forgive; rows of a bucket; number of counters; life of a known network in
-- ms; for each counter its tag, free failures, the most, the most for a known network, first wait,
-- longest wait and recovery in ms; the tag of the known network, with nothing for none.
-- {0}: done; {number of the counter, ms}: throttled for so long.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ways, count = tonumber(ARGV[2]), tonumber(ARGV[3])
local known_tag = ARGV[5 + count * 7]

local function rule(i)
  local at = 5 + (i - 1) * 7
  return {
    tag = ARGV[at], free = tonumber(ARGV[at + 1]), most = tonumber(ARGV[at + 2]),
    most_known = tonumber(ARGV[at + 3]), first = tonumber(ARGV[at + 4]),
    longest = tonumber(ARGV[at + 5]), recovery = tonumber(ARGV[at + 6])
  }
end

-- The row that is stored, unless it has ended.
local function read(stored)
  if not stored or #stored ~= 28 then
    return nil
  end
  local failures, since, opens, ends = struct.unpack('>I4I8I8I8', stored)
  if ends > now then
    return {failures = failures, since = since, opens = opens, ends = ends}
  end
end

local function recovered(row, rule)
  if not row then
    return {failures = 0, since = now, opens = 0}
  end
  local fewer = math.floor(math.max(0, now - row.since) / rule.recovery)
  fewer = math.min(fewer, row.failures)
  local since = math.min(row.since, now) + fewer * rule.recovery
  if fewer == row.failures then
    since = now
  end
  local opens = math.min(row.opens, now + rule.longest)
  return {failures = row.failures - fewer, since = since, opens = opens}
end

local function ending(row, rule)
  row.ends = math.max(row.since + row.failures * rule.recovery, row.opens)
  return row
end

-- Removes what has ended, and of a bucket that is full the row with the fewest failures, but none of
-- this attempt: they are returned, for the new row to take over.
local own_tags = {[known_tag] = true}
for i = 1, count do
  own_tags[rule(i).tag] = true
end
local function make_room(key)
  local all, left, weakest, least = redis.call('HGETALL', key), 0, nil, nil
  for at = 1, #all, 2 do
    local row = read(all[at + 1])
    if not row then
      redis.call('HDEL', key, all[at])
    else
      left = left + 1
      local weaker = not least or row.failures < least.failures
        or row.failures == least.failures and row.ends < least.ends
      if weaker and not own_tags[all[at]] then
        weakest, least = all[at], row
      end
    end
  end
  if left < ways or not least then
    return 0
  end
  redis.call('HDEL', key, weakest)
  return least.failures
end

-- The row with the wait for its failures, from now on.
local function waiting(row, rule)
  row.opens = 0
  if row.failures >= rule.free then
    row.opens = now + math.min(rule.longest, rule.first * 2 ^ (row.failures - rule.free))
  end
  return ending(row, rule)
end

-- A new row takes over the failures of the one that it displaces, up to its first wait.
local function put(key, tag, row, rule)
  if not redis.call('HGET', key, tag) then
    local displaced = make_room(key)
    if displaced > 0 and rule then
      row.failures = row.failures + math.min(displaced, rule.free - 1)
      waiting(row, rule)
    end
  end
  redis.call('HSET', key, tag, struct.pack('>I4I8I8I8', row.failures, row.since, row.opens, row.ends))
  local left = math.max(1, row.ends - now)
  if redis.call('PTTL', key) < left then
    redis.call('PEXPIRE', key, left)
  end
end

if ARGV[1] == 'forgive' then
  for i = 1, count do
    redis.call('HDEL', KEYS[i], rule(i).tag)
  end
  return {0}
end

if ARGV[1] == 'succeed' then
  local own = 0
  if count > 2 then
    own = recovered(read(redis.call('HGET', KEYS[3], rule(3).tag)), rule(3)).failures
  end
  local fewer = {1, 1, 2 ^ 32, own}
  for i = 1, count do
    local limit = rule(i)
    local row = read(redis.call('HGET', KEYS[i], limit.tag))
    if row then
      row = recovered(row, limit)
      row.failures = row.failures - fewer[i]
      if row.failures <= 0 then
        redis.call('HDEL', KEYS[i], limit.tag)
      else
        if row.failures < limit.free then
          row.opens = 0
        end
        put(KEYS[i], limit.tag, ending(row, limit), limit)
      end
    end
  end
  if known_tag ~= '' then
    local row = {failures = 0, since = now, opens = 0, ends = now + tonumber(ARGV[4])}
    put(KEYS[count + 1], known_tag, row, nil)
  end
  return {0}
end

local known = known_tag ~= '' and read(redis.call('HGET', KEYS[count + 1], known_tag)) ~= nil
local rows, place, longest = {}, 0, 0
for i = 1, count do
  local limit = rule(i)
  local row = recovered(read(redis.call('HGET', KEYS[i], limit.tag)), limit)
  local most, wait = limit.most, math.max(0, row.opens - now)
  if known and limit.most_known > 0 then
    most, wait = limit.most_known, 0
  end
  if row.failures >= most then
    wait = math.max(wait, row.since + (row.failures - most + 1) * limit.recovery - now)
  end
  if wait > longest then
    place, longest = i, wait
  end
  rows[i] = row
end
if longest > 0 then
  return {place, longest}
end
for i = 1, count do
  local limit, row = rule(i), rows[i]
  row.failures = row.failures + 1
  put(KEYS[i], limit.tag, waiting(row, limit), limit)
end
return {0}
