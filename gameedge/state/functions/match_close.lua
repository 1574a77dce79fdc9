-- Forget a match and, once, keep its result. KEYS: matches, members, seats, outbox, checkpoints.
-- ARGV: match, result ('': none), host ('': any) and epoch that closes it.
-- Answers 1, or 0 when the match was closed before, or belongs to another host by now.
if ARGV[3] ~= '' then
  local readable, now = pcall(cmsgpack.unpack, redis.call('HGET', KEYS[1], ARGV[1]) or '')
  if readable and type(now) == 'table' and (now['host'] ~= ARGV[3] or (now['epoch'] or 0) ~= tonumber(ARGV[4])) then return 0 end
end
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
local members = redis.call('HGET', KEYS[2], ARGV[1])
local readable, names = pcall(cmsgpack.unpack, members or '')
if readable and type(names) == 'table' then
  for _, ticket in ipairs(names) do
    if redis.call('HGET', KEYS[3], ticket) == ARGV[1] then redis.call('HDEL', KEYS[3], ticket) end
  end
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
if ARGV[2] ~= '' then redis.call('XADD', KEYS[4], '*', 'r', ARGV[2]) end
return 1
