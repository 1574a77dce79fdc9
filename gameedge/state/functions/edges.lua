-- Living processes. KEYS: expiries, records. Forgets those whose beat has expired.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, edge in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], edge)
  redis.call('HDEL', KEYS[2], edge)
end
return redis.call('HVALS', KEYS[2])
