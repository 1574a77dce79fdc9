-- uses: feed
-- A player resumed elsewhere. KEYS: tickets, moved, version, feed. ARGV: ticket, where, most entries of the feed.
-- Answers 1, or 0 when the ticket is gone.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
changed(KEYS[3], KEYS[4], ARGV[3], {ARGV[1]})
return 1
