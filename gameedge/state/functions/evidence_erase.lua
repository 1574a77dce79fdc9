-- Remove all of a player. KEYS: as of evidence_add. ARGV: player. Answers how many went.
local names = redis.call('ZRANGEBYLEX', KEYS[5], '[' .. ARGV[1] .. '\0', '[' .. ARGV[1] .. '\0\255')
for _, name in ipairs(names) do
  local flag = string.match(name, '[^%z]*$')
  for _, key in ipairs({KEYS[1], KEYS[2], KEYS[3], KEYS[6]}) do redis.call('HDEL', key, flag) end
  redis.call('ZREM', KEYS[4], flag)
  redis.call('ZREM', KEYS[5], name)
end
return #names
