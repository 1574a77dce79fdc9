-- uses: feed
-- Make matches of tickets, each all or nothing.
-- KEYS: matches, members, seats, tickets, players, owners, moved, version, fence, outbox, feed, then inboxes.
-- ARGV: fence ('0': unchecked), most results, most events, inbox life (ms), most entries of the feed; then for each match: its name,
-- the number of its inbox (from 1), how many tickets, its record, the event for its host, and pairs of a ticket and where its player
-- was when the pool was read.
-- Answers a list a match: {'ok'}, {'stale'}, {'full'} or {'missing', tickets...}.
local stale = ARGV[1] ~= '0' and redis.call('GET', KEYS[9]) ~= ARGV[1]
local open = redis.call('HLEN', KEYS[1]) + redis.call('XLEN', KEYS[10])
local answers, taken, rung, at = {}, {}, {}, 6

local function take(match, inbox, record, event, names, places)
  if redis.call('HEXISTS', KEYS[1], match) == 1 then return {'ok'} end
  if stale then return {'stale'} end
  -- Every open match has its place in the outbox, so that a result is never refused.
  if open >= tonumber(ARGV[2]) then return {'full'} end
  local owners, moved = redis.call('HMGET', KEYS[6], unpack(names)), redis.call('HMGET', KEYS[7], unpack(names))
  local missing, any_moved = {'missing'}, false
  for i, name in ipairs(names) do
    if not owners[i] or (moved[i] and moved[i] ~= places[i]) then missing[#missing + 1] = name end
    any_moved = any_moved or moved[i]
  end
  if #missing > 1 then return missing end
  local held, free, seats = redis.call('HMGET', KEYS[5], unpack(owners)), {}, {}
  for i, name in ipairs(names) do
    if held[i] == name then free[#free + 1] = owners[i] end
    seats[2 * i - 1], seats[2 * i] = name, match
    taken[#taken + 1] = name
  end
  if #free > 0 then redis.call('HDEL', KEYS[5], unpack(free)) end
  redis.call('HDEL', KEYS[4], unpack(names))
  redis.call('HDEL', KEYS[6], unpack(names))
  if any_moved then redis.call('HDEL', KEYS[7], unpack(names)) end
  redis.call('HSET', KEYS[3], unpack(seats))
  redis.call('HSET', KEYS[1], match, record)
  redis.call('HSET', KEYS[2], match, cmsgpack.pack(names))
  redis.call('XADD', inbox, 'MAXLEN', ARGV[3], '*', 'e', event)
  rung[inbox], open = true, open + 1
  return {'ok'}
end

while at <= #ARGV do
  local names, places = {}, {}
  local count = tonumber(ARGV[at + 2])
  for i = 1, count do names[i], places[i] = ARGV[at + 3 + 2 * i], ARGV[at + 4 + 2 * i] end
  answers[#answers + 1] = take(ARGV[at], KEYS[11 + tonumber(ARGV[at + 1])], ARGV[at + 3], ARGV[at + 4], names, places)
  at = at + 5 + 2 * count
end
for inbox in pairs(rung) do redis.call('PEXPIRE', inbox, ARGV[4]) end
changed(KEYS[8], KEYS[11], ARGV[5], taken)
return answers
