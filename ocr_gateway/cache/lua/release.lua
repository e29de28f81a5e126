-- Gives the holder's lease up without a value and tells who waits.
-- KEYS: lease. ARGV: holder, channel, what to announce. Returns 1, or 0: it was not the holder's.
local held = redis.call('GET', KEYS[1])
if held == ARGV[1] or held == ARGV[1] .. '+' then
  redis.call('DEL', KEYS[1])
  if held:sub(-1) == '+' then
    redis.call('PUBLISH', ARGV[2], ARGV[3])
  end
  return 1
end
return 0
