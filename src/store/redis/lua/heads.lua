-- The first bytes of some of a user's sessions, and nothing else of them. What is no more leaves the
-- index. The records are found by the index and not declared: for a single primary that lets this pass.
-- KEYS: the user's index. ARGV: what stands before an id in a record's key, how many bytes, ids.
-- For each id the bytes, or nothing.
local heads = {}
for i = 3, #ARGV do
  local head = redis.pcall('GETRANGE', ARGV[1] .. ARGV[i], 0, ARGV[2] - 1)
  -- Who may not look does not know that nothing is there.
  if type(head) ~= 'string' and not string.find(head.err, 'WRONGTYPE', 1, true) then
    return head
  end
  if type(head) ~= 'string' or string.sub(head, 1, 1) ~= 'R' then
    redis.call('HDEL', KEYS[1], ARGV[i])
    head = ''
  end
  heads[#heads + 1] = head
end
return heads
