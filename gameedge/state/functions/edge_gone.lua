-- Since when processes are missed. KEYS: gone. ARGV: now, keep (ms), the processes missed now.
-- Answers those missed for `keep`. Whoever is not missed any more starts afresh.
local now, keep = tonumber(ARGV[1]), tonumber(ARGV[2])
local missed, expired = {}, {}
for i = 3, #ARGV do
  missed[ARGV[i]] = true
  redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[1])
  if now - tonumber(redis.call('HGET', KEYS[1], ARGV[i])) >= keep then expired[#expired + 1] = ARGV[i] end
end
for _, edge in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not missed[edge] then redis.call('HDEL', KEYS[1], edge) end
end
return expired
