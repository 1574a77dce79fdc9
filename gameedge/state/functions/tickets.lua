-- A part of the pool. KEYS: tickets. ARGV: where to go on ('0': from the start), about how many. Answers where the next part begins
-- ('0': this was the last), the number of tickets and their records joined (one long string costs a client far less to take in than
-- thousands of short ones). In parts, so that nobody else waits long for the server.
local answer = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local records = {}
for i = 2, #answer[2], 2 do records[#records + 1] = answer[2][i] end
return {answer[1], #records, table.concat(records)}
