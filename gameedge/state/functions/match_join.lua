-- uses: feed
-- People who wait take seats of an open match. KEYS: matches, members, seats, tickets, players, owners, moved, version, fence, feed, inbox.
-- ARGV: fence ('0': unchecked), most events, inbox life (ms), most entries of the feed; match; host, epoch and joins that it must have;
-- its new record; the event for its host; the names of all its tickets (msgpack); how many tickets gave up their seats, and those;
-- then pairs of a ticket that joins and where its player was when the pool was read.
-- Answers {'ok'}, {'stale'}, {'changed'} or {'missing', tickets...}.
if ARGV[1] ~= '0' and redis.call('GET', KEYS[9]) ~= ARGV[1] then return {'stale'} end
local readable, now = pcall(cmsgpack.unpack, redis.call('HGET', KEYS[1], ARGV[5]) or '')
if not readable or type(now) ~= 'table' then return {'changed'} end
if now['host'] ~= ARGV[6] or (now['epoch'] or 0) ~= tonumber(ARGV[7]) or (now['joins'] or 0) ~= tonumber(ARGV[8]) then return {'changed'} end
local first, names, missing = 13 + tonumber(ARGV[12]), {}, {'missing'}
for i = first, #ARGV, 2 do
  local moved = redis.call('HGET', KEYS[7], ARGV[i])
  if redis.call('HEXISTS', KEYS[6], ARGV[i]) == 0 or (moved and moved ~= ARGV[i + 1]) then missing[#missing + 1] = ARGV[i] end
  names[#names + 1] = ARGV[i]
end
if #missing > 1 then return missing end
for _, name in ipairs(names) do
  local player = redis.call('HGET', KEYS[6], name)
  if redis.call('HGET', KEYS[5], player) == name then redis.call('HDEL', KEYS[5], player) end
  redis.call('HSET', KEYS[3], name, ARGV[5])
end
redis.call('HDEL', KEYS[4], unpack(names))
redis.call('HDEL', KEYS[6], unpack(names))
redis.call('HDEL', KEYS[7], unpack(names))
for i = 13, first - 1 do redis.call('HDEL', KEYS[3], ARGV[i]) end
redis.call('HSET', KEYS[1], ARGV[5], ARGV[9])
redis.call('HSET', KEYS[2], ARGV[5], ARGV[11])
redis.call('XADD', KEYS[11], 'MAXLEN', ARGV[2], '*', 'e', ARGV[10])
redis.call('PEXPIRE', KEYS[11], ARGV[3])
changed(KEYS[8], KEYS[10], ARGV[4], names)
return {'ok'}
