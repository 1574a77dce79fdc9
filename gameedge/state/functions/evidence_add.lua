-- Keep evidence once a flag, within bounds of age, player and region: the oldest goes.
-- KEYS: records, clips, states, all (by time), players (player, time, flag in one sortable string), names (flag to that string).
-- ARGV: flag, player, record, clip, life (ms), most of a player, most of all.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function drop(flag)
  local name = redis.call('HGET', KEYS[6], flag)
  if name then redis.call('ZREM', KEYS[5], name) end
  for _, key in ipairs({KEYS[1], KEYS[2], KEYS[3], KEYS[6]}) do redis.call('HDEL', key, flag) end
  redis.call('ZREM', KEYS[4], flag)
end
local expired = string.format('%.0f', now - tonumber(ARGV[5]) * 1000)
for _, flag in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', expired, 'LIMIT', 0, 1000)) do drop(flag) end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
local last = redis.call('ZREVRANGE', KEYS[4], 0, 0, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= now then now = tonumber(last[2]) + 1 end -- order of arrival, whatever the clock does
local name = ARGV[2] .. '\0' .. string.format('%016.0f', now) .. '\0' .. ARGV[1]
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])
redis.call('HSET', KEYS[6], ARGV[1], name)
redis.call('ZADD', KEYS[4], string.format('%.0f', now), ARGV[1])
redis.call('ZADD', KEYS[5], 0, name)
local of_player = redis.call('ZRANGEBYLEX', KEYS[5], '[' .. ARGV[2] .. '\0', '[' .. ARGV[2] .. '\0\255')
for i = 1, #of_player - tonumber(ARGV[6]) do drop(string.match(of_player[i], '[^%z]*$')) end
for _, flag in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1 - tonumber(ARGV[7]))) do drop(flag) end
return 1
