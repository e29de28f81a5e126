#!lua flags=allow-oom
-- Grants slots of a rate that several replicas share: rate_window.py's arithmetic, in microseconds of Redis's own clock.
-- Needs Redis 7: the flags let quotas be shared on while Redis is out of memory; TIME and writes go together.
--
-- KEYS, all of one hash tag:
--   1 state     hash: since (when it began), seen, skew (clock), even (theoretical arrival time), and see below: cold,
--               back, again, known, lost
--   2 slots     list: the last slots, oldest first
--   3 replicas  sorted set: replicas by when they were last seen
--   4 used      hash: day, day_used, month, month_used, and what of it was counted since the state began: day_new,
--               month_new; kept for good, so that no memory policy forgets it in a period
-- ARGV:
--   1 replica   2 wanted: slots, 0 to be seen only, -1 to leave   3 calls in a window, 0 for any number   4 window
--   5 burst     6 interval: the even time between calls, stretched by the caller's factor
--   7 lead: no slot before now + lead     8 deadline: not carried out after it, 0 for none
--   9 day limit   10 month limit (0 for none)   11 period offset, s   12 correction: calls to count as made (or not)
--  13 returned: 1 when the replica has been without Redis   14 known: replicas it knew of   15 recovery: see below
--  16 unused: slots granted before and not used   17 sent: ages of calls made without Redis
--  18 since: the state that the replica knows, 0 for none   19 held: where it is 0, or returned, ages of calls made with
--     Redis and to be made; lists are separated by spaces
--  20 day  21 day_used  22 month  23 month_used: where since is 0, or returned, what the replica was told last, else 0
-- Returns {now, since, replicas seen in the last 10 s or still expected back, day, day_used, month, month_used, {slots}}.
-- Nothing is done, and replicas are 0, after the deadline, and where another state than the known one is found without
-- being told of what the replica holds: Redis was emptied.
local state, log, replicas, used = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local replica, wanted, calls, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local burst, interval, lead, deadline = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local day_limit, month_limit, offset = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local correction, returned = tonumber(ARGV[12]), ARGV[13] == '1'
local known, recovery, since_known = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[18])
local told_day, told_day_used = tonumber(ARGV[20]), tonumber(ARGV[21])
local told_month, told_month_used = tonumber(ARGV[22]), tonumber(ARGV[23])
local SEEN_US, KEEP_MS = 10 * 1000000, 60 * 1000
local PUSH_AT_ONCE = 1000
local kept = calls + math.floor(calls / 2) + 16

local function whole(number)
  return string.format('%.0f', number)
end

local function numbers(text)
  local found = {}
  for each in string.gmatch(text, '%S+') do
    found[#found + 1] = tonumber(each)
  end
  return found
end

local function push(values)
  local texts = {}
  for i, value in ipairs(values) do
    texts[#texts + 1] = whole(value)
    if #texts == PUSH_AT_ONCE or i == #values then
      redis.call('RPUSH', log, unpack(texts))
      texts = {}
    end
  end
end

-- Time. A clock that is set back goes on from where it was: what it lost is added from then on.
local time = redis.call('TIME')
local clock = time[1] * 1000000 + time[2]
local before = redis.call('HMGET', state, 'seen', 'skew', 'even', 'cold', 'back', 'again', 'known', 'since',
  'lost')
local fresh = not before[1]
local skew = (tonumber(before[2] or 0)) + math.max(0, tonumber(before[1] or 0) - clock)
local now = clock + skew
local since = tonumber(before[8] or now)
local stranger = since ~= since_known
if (deadline > 0 and now > deadline) or (stranger and since_known ~= 0 and not returned) then
  return { now, since, 0, 0, 0, 0, 0, {} }
end

-- Replicas.
if wanted < 0 then
  redis.call('ZREM', replicas, replica)
else
  redis.call('ZADD', replicas, now, replica)
end
redis.call('ZREMRANGEBYSCORE', replicas, '-inf', '(' .. whole(now - SEEN_US))
local seen_replicas = redis.call('ZCARD', replicas)

-- After a time without Redis, or with an empty one: no bursts until a window has passed, and until all known replicas are
-- back, at most for the recovery time, only the shares of those that are, because the others go on at theirs.
local even, cold = tonumber(before[3] or 0), tonumber(before[4] or 0)
local back, again = tonumber(before[5] or 0), tonumber(before[6] or 0)
if fresh or returned then
  cold = math.max(cold, now + window)
  if now >= again then
    back, again = now, now + recovery
  else
    known = math.max(known, tonumber(before[7] or 0))
  end
elseif now < again then
  known = math.max(known, tonumber(before[7] or 0))
end
local stretch = 1
if now < again then
  local present = redis.call('ZCOUNT', replicas, back, '+inf')
  seen_replicas = math.max(known, seen_replicas)
  known = seen_replicas
  if present >= known then
    again = now
  else
    stretch = known / math.max(1, present)
  end
end

-- Calls made without Redis, and after its loss those made with it, take their places in the log.
local sent = numbers(ARGV[17])
if stranger then
  for _, age in ipairs(numbers(ARGV[19])) do
    sent[#sent + 1] = age
  end
end
if #sent > 0 and calls > 0 then
  local all = {}
  for i, slot in ipairs(redis.call('LRANGE', log, 0, -1)) do
    all[i] = tonumber(slot)
  end
  for _, age in ipairs(sent) do
    all[#all + 1] = now - age
  end
  table.sort(all)
  redis.call('DEL', log)
  push(all)
  redis.call('LTRIM', log, -kept, -1)
end

-- Unused slots are free again, as long as the last ones of a window stay known.
for _, slot in ipairs(numbers(ARGV[16])) do
  even = even - interval
  if redis.call('LLEN', log) > calls then
    redis.call('LREM', log, -1, whole(slot))
  end
end

-- Days and months, by the clock as it is; one that is set back stays in its period. What was counted before the state
-- began is the most that a replica knows of it, as Redis may have lost it. So until all known replicas have told, at most
-- for the recovery time, nothing is granted: who comes first may know less than the others.
local lost = now < again and (before[9] == '1' or (stranger and told_day > 0))
local left = math.huge
local day, day_used, month, month_used = 0, 0, 0, 0
local limited = day_limit > 0 or month_limit > 0

local function counted(period, stored, stored_used, stored_new, told, told_used)
  local count, new = 0, 0
  if stored and tonumber(stored) >= period then
    period, count, new = tonumber(stored), tonumber(stored_used), fresh and 0 or tonumber(stored_new or 0)
  end
  if (stranger or returned) and told >= period then
    if told > period then
      period, count, new = told, 0, 0
    end
    count = math.max(count, told_used + (stranger and new or 0))
  end
  return period, math.max(0, count + correction), new + correction
end

if limited then
  day = math.floor((clock / 1000000 + offset) / 86400)
  -- The civil calendar from days since 1970: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
  local since_march_0 = day + 719468
  local era = math.floor(since_march_0 / 146097)
  local doe = since_march_0 - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local from_march = math.floor((5 * doy + 2) / 153)
  month = (yoe + era * 400) * 12 + from_march
  local stored = redis.call('HMGET', used, 'day', 'day_used', 'day_new', 'month', 'month_used', 'month_new')
  local day_new, month_new
  day, day_used, day_new = counted(day, stored[1], stored[2], stored[3], told_day, told_day_used)
  month, month_used, month_new = counted(month, stored[4], stored[5], stored[6], told_month, told_month_used)
  if day_limit > 0 then
    left = math.min(left, day_limit - day_used)
  end
  if month_limit > 0 then
    left = math.min(left, month_limit - month_used)
  end
  if lost then
    left = 0
  end
  local count = math.max(0, math.min(wanted, left, calls > 0 and calls or wanted))
  day_used, month_used = day_used + count, month_used + count
  redis.call('HSET', used, 'day', day, 'day_used', day_used, 'day_new', day_new + count,
    'month', month, 'month_used', month_used, 'month_new', month_new + count)
end

-- Slots.
local count = math.max(0, math.min(wanted, left, calls > 0 and calls or wanted))
local slots = {}
if calls == 0 then
  for i = 1, count do
    slots[i] = now
  end
elseif count > 0 then
  local length = redis.call('LLEN', log)
  local last = tonumber(redis.call('LINDEX', log, -1) or 0)
  local first = math.max(0, length - calls)
  local tolerance, quiet = (burst - 1) * window / calls, math.max(cold, again)
  local earlier = redis.call('LRANGE', log, first, first + count - 1)
  for i = 1, count do
    local behind = length - calls + i - 1
    local slot = math.max(now + lead, last, even - tolerance)
    if slot < quiet then -- until then, or until its even turn, there are no bursts
      slot = math.max(slot, math.min(even, quiet))
    end
    local free = behind >= 0 and tonumber(earlier[behind - first + 1]) + window or 0
    if free >= slot then -- held back by the window, not by want of demand: that earns no burst
      slot, even = free, math.max(even, free + tolerance)
    end
    slot = math.ceil(slot)
    even = math.max(even, slot) + interval * stretch
    slots[i], last = slot, slot
  end
  push(slots)
  redis.call('LTRIM', log, -kept, -1)
end

local keep = math.max(KEEP_MS, math.ceil(3 * window / 1000))
redis.call('HSET', state, 'since', whole(since), 'seen', whole(clock), 'skew', whole(skew), 'even', string.format('%.3f', even),
  'cold', whole(cold), 'back', whole(back), 'again', whole(again),
  'known', known, 'lost', lost and 1 or 0)
for i = 1, 3 do
  redis.call('PEXPIRE', KEYS[i], keep)
end
return { now, since, seen_replicas, day, day_used, month, month_used, slots }
