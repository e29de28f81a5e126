#!lua flags=no-writes
-- The milliseconds that a sign of life still lasts; 0: it is gone.
-- KEYS: sign.
return math.max(0, redis.call('PTTL', KEYS[1]))
