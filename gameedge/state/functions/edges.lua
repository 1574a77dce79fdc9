-- Living processes. KEYS: expiries, records. Forgets those whose beat has expired. A record without an expiry (half of a removal was
-- lost) is nobody's: else its process would live for ever.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, edge in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], edge)
  redis.call('HDEL', KEYS[2], edge)
end
local found = {}
for _, edge in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local record = redis.call('HGET', KEYS[2], edge)
  if record then found[#found + 1] = record end
end
return found
