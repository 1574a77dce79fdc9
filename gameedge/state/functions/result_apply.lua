-- Store the ratings of a match once. KEYS: ratings, applied. ARGV: match, life (ms), a newcomer's rating, then triples of a player,
-- the rating expected and the new one (all msgpack). Answers 1: applied now or before; 0: a rating was changed meanwhile.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 1 end
local fields = {'mu', 'sigma', 'games'}
for i = 4, #ARGV, 3 do
  -- Fields are compared, not bytes: another version may have written more of them.
  local readable, stored = pcall(cmsgpack.unpack, redis.call('HGET', KEYS[1], ARGV[i]) or '')
  readable = readable and type(stored) == 'table'
  for _, field in ipairs(fields) do readable = readable and type(stored[field]) == 'number' end
  if not readable then stored = cmsgpack.unpack(ARGV[3]) end
  local expected = cmsgpack.unpack(ARGV[i + 1])
  for _, field in ipairs(fields) do
    if stored[field] ~= expected[field] then return 0 end
  end
end
for i = 4, #ARGV, 3 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
return 1
