-- Give a match another host, once. KEYS: matches, inbox. ARGV: match, host and epoch that it has now, its new record,
-- event for the new host ('': none), most events, inbox life (ms), joins that it has now. Answers 1, or 0 when somebody was faster or it is over.
local record = redis.call('HGET', KEYS[1], ARGV[1])
local readable, now = pcall(cmsgpack.unpack, record or '')
if not readable or type(now) ~= 'table' or now['host'] ~= ARGV[2] or (now['epoch'] or 0) ~= tonumber(ARGV[3]) then return 0 end
if (now['joins'] or 0) ~= tonumber(ARGV[8]) then return 0 end -- somebody was given a seat meanwhile, whom that record forgets
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
if ARGV[5] ~= '' then
  redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[6], '*', 'e', ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return 1
