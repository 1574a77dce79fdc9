-- How long ago each process beat, ms. KEYS: expiries. ARGV: life of a beat (ms). Answers pairs of a process and an age.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #found, 2 do found[i] = string.format('%.0f', now - (tonumber(found[i]) - tonumber(ARGV[1]))) end
return found
