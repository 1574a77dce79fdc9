-- uses: feed
-- A match that could not be opened, or that somebody did not accept: its tickets are queued again. KEYS: matches, members, seats, tickets, players, owners, version,
-- checkpoints, feed. ARGV: match, most entries of the feed, host, epoch and joins that it has now, then triples of a ticket, its player
-- and its record ('': it is not queued again). Answers 1, or 0 when the match was not there, is another host's by now, or has people in it
-- whom the caller does not know of.
local readable, now = pcall(cmsgpack.unpack, redis.call('HGET', KEYS[1], ARGV[1]) or '')
if readable and type(now) == 'table' then
  if now['host'] ~= ARGV[3] or (now['epoch'] or 0) ~= tonumber(ARGV[4]) or (now['joins'] or 0) ~= tonumber(ARGV[5]) then return 0 end
end
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[8], ARGV[1])
local queued = {}
for i = 6, #ARGV, 3 do
  local ticket, player = ARGV[i], ARGV[i + 1]
  if redis.call('HGET', KEYS[3], ticket) == ARGV[1] then redis.call('HDEL', KEYS[3], ticket) end
  -- Whoever queued again meanwhile keeps the newer ticket.
  if ARGV[i + 2] ~= '' and redis.call('HEXISTS', KEYS[5], player) == 0 and redis.call('HEXISTS', KEYS[4], ticket) == 0 then
    redis.call('HSET', KEYS[4], ticket, ARGV[i + 2])
    redis.call('HSET', KEYS[5], player, ticket)
    redis.call('HSET', KEYS[6], ticket, player)
    queued[#queued + 1] = ticket
  end
end
changed(KEYS[7], KEYS[9], ARGV[2], queued)
return 1
