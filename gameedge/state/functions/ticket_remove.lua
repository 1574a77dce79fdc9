-- uses: feed
-- Remove tickets. KEYS: tickets, players, owners, moved, version, feed. ARGV: most entries of the feed, then pairs of a ticket and
-- where its player must be: '' for anywhere, else what `moved` must hold if it holds anything (the player did not resume elsewhere
-- meanwhile). Answers the tickets that were removed.
local removed = {}
for i = 2, #ARGV, 2 do
  local ticket, where = ARGV[i], ARGV[i + 1]
  local moved = where ~= '' and redis.call('HGET', KEYS[4], ticket)
  if redis.call('HEXISTS', KEYS[1], ticket) == 1 and (not moved or moved == where) then
    local player = redis.call('HGET', KEYS[3], ticket)
    if player and redis.call('HGET', KEYS[2], player) == ticket then redis.call('HDEL', KEYS[2], player) end
    redis.call('HDEL', KEYS[1], ticket)
    redis.call('HDEL', KEYS[3], ticket)
    redis.call('HDEL', KEYS[4], ticket)
    removed[#removed + 1] = ticket
  end
end
changed(KEYS[5], KEYS[6], ARGV[1], removed)
return removed
