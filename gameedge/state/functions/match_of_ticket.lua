-- KEYS: seats, matches. ARGV: ticket. Answers the record of the open match that the ticket was claimed for, or nil.
local match = redis.call('HGET', KEYS[1], ARGV[1])
return match and redis.call('HGET', KEYS[2], match)
