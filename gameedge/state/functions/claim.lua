-- Make a match of tickets, all or nothing.
-- KEYS: matches, members, seats, tickets, players, owners, moved, version, fence, outbox, inbox.
-- ARGV: match, fence ('0': unchecked), record, event for the host, most results, most events, inbox life (ms), then pairs of a
-- ticket and where its player was when the pool was read.
-- Answers {'ok'}, {'stale'}, {'full'} or {'missing', tickets...}.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return {'ok'} end
if ARGV[2] ~= '0' and redis.call('GET', KEYS[9]) ~= ARGV[2] then return {'stale'} end
-- Every open match has its place in the outbox, so that a result is never refused.
if redis.call('HLEN', KEYS[1]) + redis.call('XLEN', KEYS[10]) >= tonumber(ARGV[5]) then return {'full'} end
local missing, names = {'missing'}, {}
for i = 8, #ARGV, 2 do
  local moved = redis.call('HGET', KEYS[7], ARGV[i])
  if redis.call('HEXISTS', KEYS[4], ARGV[i]) == 0 or (moved and moved ~= ARGV[i + 1]) then missing[#missing + 1] = ARGV[i] end
  names[#names + 1] = ARGV[i]
end
if #missing > 1 then return missing end
for _, ticket in ipairs(names) do
  local player = redis.call('HGET', KEYS[6], ticket)
  if player and redis.call('HGET', KEYS[5], player) == ticket then redis.call('HDEL', KEYS[5], player) end
  redis.call('HDEL', KEYS[4], ticket)
  redis.call('HDEL', KEYS[6], ticket)
  redis.call('HDEL', KEYS[7], ticket)
  redis.call('HSET', KEYS[3], ticket, ARGV[1])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], cmsgpack.pack(names))
redis.call('INCR', KEYS[8])
redis.call('XADD', KEYS[11], 'MAXLEN', ARGV[6], '*', 'e', ARGV[4])
redis.call('PEXPIRE', KEYS[11], ARGV[7])
return {'ok'}
