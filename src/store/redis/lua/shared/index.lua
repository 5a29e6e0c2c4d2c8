-- The index of a user whom a script finds by a record. Stands before each of those scripts.

local ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

-- The first 16 bits of the hash are the tag, as in session/placement.rs.
local function index_of(before, salted, user)
  local bits = tonumber(string.sub(redis.sha1hex(salted .. user), 1, 4), 16) * 4
  local tag = ''
  for _, place in ipairs({4096, 64, 1}) do
    local at = math.floor(bits / place) % 64 + 1
    tag = tag .. string.sub(ALPHABET, at, at)
  end
  return before .. '{' .. tag .. '}' .. user
end
