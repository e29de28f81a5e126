#!lua flags=allow-oom
-- Counts what replicas spend of budgets of a day, in whole millionths; days are those of Redis's own clock.
-- Needs Redis 7, as take_slots.lua does.
--
-- KEYS, all of one hash tag:
--   1 state     hash: since (when it began), seen, skew (clock), and of a recovery: back, again, known
--   2 replicas  sorted set: replicas by when they were last seen
--   3 last      hash: seq, the number of the replica's last request, and by account's key what that one counted: day,
--               units, cost; kept for a day
--   4...        an account each, a hash: day, units, cost; what of it was counted since the state began: since, new_units,
--               new_cost. State and accounts are kept for good, so that no memory policy forgets them in a day.
-- ARGV:
--   1 replica   2 leaving: 1 where it goes away    3 since: the state that the replica knows, 0 for none
--   4 returned: 1 when it has been without Redis   5 known: replicas it knew of   6 recovery: see below
--   7 all: 1 when all of the replica's accounts are among the keys
--   8 seq: the number of this request   9 in doubt: the first request since the last that was answered, 0 for none
--   then nine of each account: unit limit, cost limit (0 for none), day offset in seconds; day, units, cost as the
--     replica was told last; and what it has to tell: day, units and cost to count besides, below 0 for what is given back
--   then of each reservation: units, cost, how many accounts, and their numbers (the first account is 1)
-- Returns {clock, since, replicas, answer, {day, units, cost of each account}, {one for each reservation}}.
-- Answers: 0, done; 1, all was told and nothing is granted, as other replicas may still spend their parts of what was
-- left; 2, nothing was done, as the replica has to tell of all of its accounts; 3, nothing was done, as the request came
-- after a later one. What a request in doubt has counted is undone, as all of that is told again. A reservation is 0 when
-- it is granted, else the number of the account that has too little left: of units, or below 0 of cost.
local state, replicas, last = KEYS[1], KEYS[2], KEYS[3]
local replica, leaving, since_known = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
local returned, known, recovery, all = ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1'
local seq, in_doubt = tonumber(ARGV[8]), tonumber(ARGV[9])
local KEYS_BEFORE, HEAD, OF_ACCOUNT = 3, 9, 9
local SEEN_US = 10 * 1000000
local LAST_MS = 86400 * 1000
local DONE, HELD, TELL_ALL, TOO_LATE = 0, 1, 2, 3

local function whole(number)
  return string.format('%.0f', number)
end

-- Time. A clock that is set back goes on from where it was: what it lost is added from then on.
local time = redis.call('TIME')
local clock = time[1] * 1000000 + time[2]
local before = redis.call('HMGET', state, 'since', 'seen', 'skew', 'back', 'again', 'known')
local skew = tonumber(before[3] or 0) + math.max(0, tonumber(before[2] or 0) - clock)
local now = clock + skew
local since = tonumber(before[1] or now)
local stranger = since_known ~= 0 and since ~= since_known
local seq_before = tonumber(redis.call('HGET', last, 'seq') or 0)
if seq <= seq_before then
  return { clock, since, 0, TOO_LATE, {}, {} }
end
local undo = in_doubt > 0 and seq_before >= in_doubt
if (stranger or returned or undo) and not all then
  return { clock, since, 0, TELL_ALL, {}, {} }
end

-- Replicas.
if leaving then
  redis.call('ZREM', replicas, replica)
else
  redis.call('ZADD', replicas, whole(now), replica)
end
redis.call('ZREMRANGEBYSCORE', replicas, '-inf', '(' .. whole(now - SEEN_US))
local seen_replicas = redis.call('ZCARD', replicas)

-- After a time without Redis, or with an empty one, nothing is granted until all known replicas have told what they have
-- spent meanwhile, at most for the recovery time.
local back, again = tonumber(before[4] or 0), tonumber(before[5] or 0)
if (stranger or returned) and now >= again then
  back, again = now, now + recovery
elseif now < again then
  known = math.max(known, tonumber(before[6] or 0))
end
if now < again then
  seen_replicas = math.max(known, seen_replicas)
  known = seen_replicas
  if redis.call('ZCOUNT', replicas, whole(back), '+inf') >= known then
    again = now
  end
end
local held = now < again

-- Accounts. A clock that is set back stays in its day. What was counted before the state began is the most that a replica
-- was told of it, as Redis may have lost it.
local accounts, uses = {}, {}
for i = 1, #KEYS - KEYS_BEFORE do
  local at = HEAD + (i - 1) * OF_ACCOUNT
  local function arg(number)
    return tonumber(ARGV[at + number])
  end
  local key = KEYS[i + KEYS_BEFORE]
  local day = math.floor((clock / 1000000 + arg(3)) / 86400)
  local stored = redis.call('HMGET', key, 'day', 'units', 'cost', 'since', 'new_units', 'new_cost')
  local units, cost, new_units, new_cost = 0, 0, 0, 0
  if stored[1] and tonumber(stored[1]) >= day then
    day, units, cost = tonumber(stored[1]), tonumber(stored[2]), tonumber(stored[3])
    if tonumber(stored[4]) == since then
      new_units, new_cost = tonumber(stored[5]), tonumber(stored[6])
    end
  end
  local counted = undo and redis.call('HGET', last, key)
  if counted then
    local of_day, of_units, of_cost = string.match(counted, '(%S+) (%S+) (%S+)')
    if tonumber(of_day) == day then
      units, new_units = units - tonumber(of_units), new_units - tonumber(of_units)
      cost, new_cost = cost - tonumber(of_cost), new_cost - tonumber(of_cost)
    end
  end
  if (stranger or returned) and arg(4) >= day then
    if arg(4) > day then
      day, units, cost, new_units, new_cost = arg(4), 0, 0, 0, 0
    end
    units = math.max(units, arg(5) + (stranger and new_units or 0))
    cost = math.max(cost, arg(6) + (stranger and new_cost or 0))
  end
  local sum_units, sum_cost = 0, 0
  if arg(7) == day then
    sum_units, sum_cost = arg(8), arg(9)
  end
  units, new_units = units + sum_units, new_units + sum_units
  cost, new_cost = cost + sum_cost, new_cost + sum_cost
  accounts[i] = {
    sum_units = sum_units, sum_cost = sum_cost,
    key = key, day = day, unit_limit = arg(1), cost_limit = arg(2),
    units = math.max(0, units), cost = math.max(0, cost), new_units = new_units, new_cost = new_cost,
  }
end

-- Reservations, each on all of its accounts or on none.
local granted = {}
local at = HEAD + #accounts * OF_ACCOUNT + 1
while not held and at <= #ARGV do
  local units, cost, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local refusal = 0
  for i = 1, count do
    local number = tonumber(ARGV[at + 2 + i])
    local account = accounts[number]
    if refusal == 0 and account.unit_limit > 0 and account.units + units > account.unit_limit then
      refusal = number
    elseif refusal == 0 and account.cost_limit > 0 and account.cost + cost > account.cost_limit then
      refusal = -number
    end
  end
  if refusal == 0 then
    for i = 1, count do
      local account = accounts[tonumber(ARGV[at + 2 + i])]
      account.units, account.new_units = account.units + units, account.new_units + units
      account.cost, account.new_cost = account.cost + cost, account.new_cost + cost
      account.sum_units, account.sum_cost = account.sum_units + units, account.sum_cost + cost
    end
  end
  granted[#granted + 1] = refusal
  at = at + 3 + count
end

redis.call('DEL', last)
redis.call('HSET', last, 'seq', whole(seq))
redis.call('PEXPIRE', last, LAST_MS)
for _, account in ipairs(accounts) do
  if account.sum_units ~= 0 or account.sum_cost ~= 0 then
    local sums = whole(account.day) .. ' ' .. whole(account.sum_units) .. ' ' .. whole(account.sum_cost)
    redis.call('HSET', last, account.key, sums)
  end
  redis.call('HSET', account.key, 'day', whole(account.day), 'units', whole(account.units), 'cost', whole(account.cost),
    'since', whole(since), 'new_units', whole(account.new_units), 'new_cost', whole(account.new_cost))
  uses[#uses + 1] = account.day
  uses[#uses + 1] = account.units
  uses[#uses + 1] = account.cost
end
redis.call('HSET', state, 'since', whole(since), 'seen', whole(clock), 'skew', whole(skew), 'back', whole(back),
  'again', whole(again), 'known', whole(known))
return { clock, since, seen_replicas, held and HELD or DONE, uses, granted }
