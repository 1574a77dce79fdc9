-- The number of a document's newest version, and the newest entries in one look. KEYS: head, versions. ARGV: how many.
local found = {redis.call('GET', KEYS[1]) or '0'}
if tonumber(ARGV[1]) > 0 then
  for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, tonumber(ARGV[1]) - 1)) do found[#found + 1] = entry end
end
return found
