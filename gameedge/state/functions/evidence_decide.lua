-- Decide a flag where nobody else did meanwhile. KEYS: records, states. ARGV: flag, state, the state that was looked at.
-- Answers the state before the call (set only where it is what was looked at), or nil for an unknown flag.
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return nil end
local state = redis.call('HGET', KEYS[2], ARGV[1])
if not state then -- as it was raised: "state" and its value in msgpack (cmsgpack cannot read a record that has bytes in it)
  state = string.find(record, '\165state\171recommended', 1, true) and 'recommended' or 'open'
end
if state == ARGV[3] then redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
return state
