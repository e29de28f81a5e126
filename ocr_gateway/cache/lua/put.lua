-- Keeps a value, gives the holder's lease up and tells who waits. Where the value is refused (memory full), the error
-- is returned, after the rest has been done.
-- KEYS: value, lease. ARGV: value, milliseconds to live, holder or '', channel, what to announce.
local kept = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local held = redis.call('GET', KEYS[2])
if held then
  if held == ARGV[3] or held == ARGV[3] .. '+' then
    redis.call('DEL', KEYS[2])
  end
  if held:sub(-1) == '+' then
    redis.call('PUBLISH', ARGV[4], ARGV[5])
  end
end
return kept
