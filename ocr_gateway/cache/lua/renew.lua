#!lua flags=allow-oom
-- Lets the holder's lease run anew; takes it again where Redis has forgotten it.
-- KEYS: lease. ARGV: holder, milliseconds of the lease. Returns 1, or 0: another has it.
local held = redis.call('GET', KEYS[1])
if not held then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
if held == ARGV[1] or held == ARGV[1] .. '+' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
return 0
