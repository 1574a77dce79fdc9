-- Append a version of a document where its newest one is the expected one. KEYS: head, versions (newest first). ARGV: the number
-- expected (0: none), entry, how many are kept. Answers 1; 0: somebody was faster.
if tonumber(redis.call('GET', KEYS[1]) or '0') ~= tonumber(ARGV[1]) then return 0 end
redis.call('INCR', KEYS[1])
redis.call('LPUSH', KEYS[2], ARGV[2])
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[3]) - 1)
return 1
