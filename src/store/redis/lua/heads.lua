-- The first bytes of some of a user's sessions, and nothing else of them. What is no more leaves the
-- index. The records are found by the index and not declared: they are in its slot.
-- KEYS: the user's index. ARGV: what stands before an id in a record's key, how many bytes, in
-- a cluster "c", ids.
-- For each id the bytes, or nothing; -4: the slot is moving, and nothing was done.
if ARGV[3] ~= '' and is_moving(KEYS[1]) then
  return -4
end
local heads = {}
for i = 4, #ARGV do
  local head = redis.pcall('GETRANGE', key_of(ARGV[1], ARGV[i]), 0, ARGV[2] - 1)
  -- Who may not look does not know that nothing is there.
  if type(head) ~= 'string' and not string.find(head.err, 'WRONGTYPE', 1, true) then
    return head
  end
  local first = type(head) == 'string' and string.sub(head, 1, 1) or ''
  if first ~= 'R' then
    head = ''
  end
  if first ~= 'R' and first ~= 'P' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
  heads[#heads + 1] = head
end
return heads
