-- Keep the state of matches, each only for the process that hosts it. KEYS: matches, checkpoints.
-- ARGV: host, then triples of a match, its epoch and its state. Answers 1 or 0 a match: 0, it is no longer this process's.
local kept = {}
for i = 2, #ARGV, 3 do
  local record = redis.call('HGET', KEYS[1], ARGV[i])
  local readable, now = pcall(cmsgpack.unpack, record or '')
  if readable and type(now) == 'table' and now['host'] == ARGV[1] and (now['epoch'] or 0) == tonumber(ARGV[i + 1]) then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
    kept[#kept + 1] = 1
  else
    kept[#kept + 1] = 0
  end
end
return kept
