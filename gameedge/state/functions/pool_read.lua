-- What changed in a pool since it was read last. KEYS: tickets, moved, feed, version. ARGV: name of the last entry read ('': none), about how
-- many changes at most. Answers {name of the last entry, 0 or 1 (there is more), count, records joined, tickets that are gone, pairs
-- of `moved`}; and where that entry is not there any more, is another, or some version has no entry (a process of an earlier release
-- changed the pool), {name of the last entry}: the whole pool must be read.
local function number(id) return tonumber(string.match(id, '^%d+')) end
local function whole()
  local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
  return {last[1] and last[1][1] or ''}
end
local entries = ARGV[1] ~= '' and redis.call('XRANGE', KEYS[3], ARGV[1], '+', 'COUNT', ARGV[2]) or {}
if #entries == 0 or entries[1][1] ~= ARGV[1] then return whole() end
for i = 2, #entries do
  if number(entries[i][1]) ~= number(entries[i - 1][1]) + 1 then return whole() end
end
if #entries < tonumber(ARGV[2]) and number(entries[#entries][1]) ~= tonumber(redis.call('GET', KEYS[4]) or 0) then return whole() end
local last, seen, ids, more = ARGV[1], {}, {}, #entries >= tonumber(ARGV[2]) and 1 or 0
for i = 2, #entries do
  if #ids >= tonumber(ARGV[2]) then
    more = 1
    break
  end
  last = entries[i][1]
  for _, id in ipairs(cmsgpack.unpack(entries[i][2][2])) do
    if not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
end
local records, gone, places = {}, {}, {}
for first = 1, #ids, 1000 do
  local some = {unpack(ids, first, math.min(first + 999, #ids))}
  local found, moved = redis.call('HMGET', KEYS[1], unpack(some)), redis.call('HMGET', KEYS[2], unpack(some))
  for i, id in ipairs(some) do
    if found[i] then
      records[#records + 1] = found[i]
      if moved[i] then
        places[#places + 1] = id
        places[#places + 1] = moved[i]
      end
    else
      gone[#gone + 1] = id
    end
  end
end
return {last, more, #records, table.concat(records), gone, places}
