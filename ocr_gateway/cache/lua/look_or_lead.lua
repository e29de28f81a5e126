#!lua flags=allow-oom
-- The value of a key, or whose turn it is to make it.
-- KEYS: value, lease. ARGV: holder, milliseconds of the lease.
-- Returns the value; or 0: the holder has the lease now; or the milliseconds that another's lease still runs.
-- A lease on which somebody waits is marked with a '+' at its end, so that only such ones are announced.
local value = redis.call('GET', KEYS[1])
if value then
  return value
end
local held = redis.call('GET', KEYS[2])
if not held then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  return 0
end
if held:sub(-1) ~= '+' then
  redis.call('SET', KEYS[2], held .. '+', 'KEEPTTL')
end
return math.max(1, redis.call('PTTL', KEYS[2]))
