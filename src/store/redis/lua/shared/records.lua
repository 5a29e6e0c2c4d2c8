-- What scripts ask of records that they find by a user's index. Stands before each of those scripts.

-- The first byte of a record; nothing of what is no string. Any other error is the script's: who may
-- not look does not know that nothing is there.
local function kind(key)
  local first = redis.pcall('GETRANGE', key, 0, 0)
  if type(first) == 'string' then
    return first
  end
  if string.find(first.err, 'WRONGTYPE', 1, true) then
    return ''
  end
  return redis.call('GETRANGE', key, 0, 0)
end

-- Bytes before a record that still has to end the one that it replaces.
local PENDING = 62

-- Whether the record with that first byte is not over. It stays as long as it may be idle after its
-- end, at most `most` ms; its activity (when it was used last, and its idle deadline) starts at
-- `place`.
local function alive(key, first, most, place)
  if first == 'P' then
    place = place + PENDING
  end
  local activity, kept = redis.call('GETRANGE', key, place, place + 15), tonumber(most)
  if #activity == 16 then
    local last, deadline = struct.unpack('>I8>I8', activity)
    kept = math.min(kept, deadline - last)
  end
  return redis.call('PTTL', key) > kept
end

