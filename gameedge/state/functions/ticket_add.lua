-- Queue a ticket. KEYS: tickets, players, owners, version. ARGV: ticket, player, record, most tickets.
-- Answers 'ok', 'queued' (the player has another ticket here) or 'full'.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'ok' end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 'queued' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('INCR', KEYS[4])
return 'ok'
