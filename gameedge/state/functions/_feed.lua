-- Shared by the functions that change a pool: under the pool's next version, which of its tickets changed. A reader asks for what is
-- behind the entry that it read last; the entry's name holds the server's time, so that a server that lost its last writes (a
-- failover) and counted on differently does not pass for the one that was read.
local function changed(version, feed, most, tickets)
  if #tickets == 0 then return end
  local time, ids = redis.call('TIME'), cmsgpack.pack(tickets)
  local function add()
    local at = string.format('%.0f-%.0f', redis.call('INCR', version), time[1] * 1000000 + time[2])
    return redis.pcall('XADD', feed, 'MAXLEN', most, at, 'i', ids)
  end
  local answer = add()
  if type(answer) == 'table' and answer.err then -- the version was lost, the feed was not: its readers read the pool anew
    redis.call('DEL', feed)
    add()
  end
end
