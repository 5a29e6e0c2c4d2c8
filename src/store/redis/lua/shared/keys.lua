-- Keys that scripts find by a record or an index, and the slot of all of them in a cluster. Stands
-- before each of those scripts.

-- The key of a record: the last three characters of an id are a hash tag.
local function key_of(before, id)
  return before .. string.sub(id, 1, 40) .. '{' .. string.sub(id, 41) .. '}'
end

-- Whether the slot of a key is moving to another node: a key that is not there can be asked for in
-- no other one.
local function is_moving(key)
  return type(redis.pcall('PTTL', key .. '?')) == 'table'
end
