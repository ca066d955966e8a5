-- Takes from a quota, or gives back to it, in one step.
--
-- KEYS  1 the window: a hash of units used, and when it ends (fixed)
--       2 units by bucket: a hash of bucket number to units (rolling)
--       3 the answer to an earlier call with the same deduplication id; empty for none
-- ARGV  1 limit  2 window in ms  3 bucket in ms (0: fixed window)  4 amount  5 best effort (1 or 0)
--       6 the time in ms; empty for Redis' own, which all its clients share
-- Gives {units granted, ms for which that holds}; units are negative when they were given back.
local window, buckets, answer = KEYS[1], KEYS[2], KEYS[3]
local limit, length, bucket = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local amount, best_effort = tonumber(ARGV[4]), ARGV[5] == '1'
local now = tonumber(ARGV[6])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

if answer ~= '' then
  local known = redis.call('HMGET', answer, 'granted', 'until')
  if known[1] then
    return {tonumber(known[1]), math.max(tonumber(known[2]) - now, 0)}
  end
end

local used, ends, slot = 0, now + length, 0
if bucket == 0 then
  local state = redis.call('HMGET', window, 'used', 'until')
  if state[1] and tonumber(state[2]) > now then
    used, ends = tonumber(state[1]), tonumber(state[2])
  end
else
  slot = math.floor(now / bucket)
  local entries = redis.call('HGETALL', buckets)
  for i = 1, #entries, 2 do
    if tonumber(entries[i]) * bucket + length <= now then
      redis.call('HDEL', buckets, entries[i])
    else
      used = used + tonumber(entries[i + 1])
    end
  end
end

local granted = amount
if amount > limit - used then
  granted = best_effort and math.max(limit - used, 0) or 0
elseif amount < 0 then
  granted = -math.min(-amount, used)
end

if granted ~= 0 then
  if bucket == 0 then
    redis.call('HSET', window, 'used', used + granted, 'until', ends)
    redis.call('PEXPIREAT', window, ends)
  else
    redis.call('HINCRBY', buckets, slot, granted)
    redis.call('PEXPIREAT', buckets, ends + bucket)
  end
  if answer ~= '' then
    redis.call('HSET', answer, 'granted', granted, 'until', ends)
    redis.call('PEXPIREAT', answer, ends)
  end
end
return {granted, granted == 0 and 0 or ends - now}
