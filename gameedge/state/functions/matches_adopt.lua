-- Give many matches another host, each once, and only those that have a state. KEYS: matches, checkpoints.
-- ARGV: fives of a match, the host, epoch and joins that it has now, and its new record. Answers the state of each, nothing for one
-- that has none, that somebody was faster with, or that is over.
local states = {}
for i = 1, #ARGV, 5 do
  local readable, now = pcall(cmsgpack.unpack, redis.call('HGET', KEYS[1], ARGV[i]) or '')
  local state = false
  if readable and type(now) == 'table' and now['host'] == ARGV[i + 1] and (now['epoch'] or 0) == tonumber(ARGV[i + 2])
      and (now['joins'] or 0) == tonumber(ARGV[i + 3]) then
    state = redis.call('HGET', KEYS[2], ARGV[i])
    if state then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 4]) end
  end
  states[#states + 1] = state
end
return states
