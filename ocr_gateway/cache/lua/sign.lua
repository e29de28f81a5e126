#!lua flags=allow-oom
-- Gives a sign of life.
-- KEYS: sign. ARGV: milliseconds that it lasts. Returns 1, or 0: the one before it was gone.
return redis.call('SET', KEYS[1], '', 'PX', ARGV[1], 'GET') and 1 or 0
