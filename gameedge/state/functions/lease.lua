-- Take or renew a lease. KEYS: lease, fence. ARGV: owner, life (ms). Answers the fence, or nil when somebody else holds it.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return nil end
if owner then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return tonumber(redis.call('GET', KEYS[2]))
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('INCR', KEYS[2])
