-- Last stored first, without clips. KEYS: records, states, all. ARGV: most, life (ms). Answers pairs of a record and its state ('': as
-- recorded).
local time = redis.call('TIME')
local oldest = string.format('(%.0f', time[1] * 1000000 + time[2] - tonumber(ARGV[2]) * 1000)
local found = {}
for _, flag in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[3], '+inf', oldest, 'LIMIT', 0, ARGV[1])) do
  found[#found + 1] = redis.call('HGET', KEYS[1], flag) or ''
  found[#found + 1] = redis.call('HGET', KEYS[2], flag) or ''
end
return found
