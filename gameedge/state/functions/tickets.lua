-- The whole pool. KEYS: tickets, moved. Answers the number of tickets, their records joined (one long string costs a client far
-- less to take in than thousands of short ones) and the pairs of `moved`.
local records = redis.call('HVALS', KEYS[1])
return {#records, table.concat(records), redis.call('HGETALL', KEYS[2])}
