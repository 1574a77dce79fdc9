-- KEYS: records, states. ARGV: flag, state. Answers 1, or 0 for an unknown flag.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
