-- A hash as a flat list of names and values, whatever a client makes of HGETALL. KEYS: the hash.
return redis.call('HGETALL', KEYS[1])
