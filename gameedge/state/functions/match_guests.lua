-- Store an open match whose tickets other stores granted. KEYS: matches, members, seats, outbox. ARGV: match, its record, its host, most
-- results, the names of its tickets (msgpack), then those names.
-- Answers 'ok' (also where it is there already), 'other' where another match has its name, or 'full'.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
  local readable, now = pcall(cmsgpack.unpack, known)
  return (readable and type(now) == 'table' and now['guests'] and now['host'] == ARGV[3]) and 'ok' or 'other'
end
if redis.call('HLEN', KEYS[1]) + redis.call('XLEN', KEYS[4]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
for i = 6, #ARGV do redis.call('HSETNX', KEYS[3], ARGV[i], ARGV[1]) end -- a ticket of this region belongs to its grant until that ends
return 'ok'
