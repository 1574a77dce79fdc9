-- A player resumed elsewhere. KEYS: tickets, moved, version. ARGV: ticket, where. Answers 1, or 0 when the ticket is gone.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('INCR', KEYS[3])
return 1
