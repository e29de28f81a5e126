#!lua flags=allow-oom
-- The value of a key, or whose turn it is to make it.
-- KEYS: value, lease. ARGV: holder, milliseconds of the lease, and, if any, the holder who is known to be dead.
-- Returns the value; or 0: the holder has the lease now; or {the other holder who has it}.
-- A lease on which somebody waits is marked with a '+' at its end, so that only such ones are announced.
local value = redis.call('GET', KEYS[1])
if value then
  return value
end
local held = redis.call('GET', KEYS[2])
local marked = held and held:sub(-1) == '+'
local other = marked and held:sub(1, -2) or held
if not held or other == ARGV[3] then
  redis.call('SET', KEYS[2], ARGV[1] .. (marked and '+' or ''), 'PX', ARGV[2])
  return 0
end
if not marked then
  redis.call('SET', KEYS[2], held .. '+', 'KEEPTTL')
end
return { other }
