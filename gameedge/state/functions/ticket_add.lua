-- uses: feed
-- Queue tickets. KEYS: tickets, players, owners, version, feed, seats, matches. ARGV: most tickets, most entries of the feed, then
-- triples of a ticket, its player and its record. Answers one letter a ticket: o (it is there, or in an open match), q (the player has
-- another ticket here), f (full).
local names, players = {}, {}
for i = 3, #ARGV, 3 do
  names[#names + 1] = ARGV[i]
  players[#players + 1] = ARGV[i + 1]
end
local there, held = redis.call('HMGET', KEYS[3], unpack(names)), redis.call('HMGET', KEYS[2], unpack(players))
local seats = redis.call('HMGET', KEYS[6], unpack(names))
local room = tonumber(ARGV[1]) - redis.call('HLEN', KEYS[1])
local said, added, mine, tickets, by_player, owners = {}, {}, {}, {}, {}, {}
for i, name in ipairs(names) do
  local player = players[i]
  if there[i] or added[name] or (seats[i] and redis.call('HEXISTS', KEYS[7], seats[i]) == 1) then
    said[i] = 'o'
  elseif held[i] or mine[player] then
    said[i] = 'q'
  elseif room <= 0 then
    said[i] = 'f'
  else
    said[i], added[name], mine[player], room = 'o', true, true, room - 1
    local at = #tickets
    tickets[at + 1], tickets[at + 2] = name, ARGV[3 * i + 2]
    by_player[at + 1], by_player[at + 2] = player, name
    owners[at + 1], owners[at + 2] = name, player
  end
end
if #tickets > 0 then
  redis.call('HSET', KEYS[1], unpack(tickets))
  redis.call('HSET', KEYS[2], unpack(by_player))
  redis.call('HSET', KEYS[3], unpack(owners))
  local new = {}
  for i = 1, #tickets, 2 do new[#new + 1] = tickets[i] end
  changed(KEYS[4], KEYS[5], ARGV[2], new)
end
return table.concat(said)
