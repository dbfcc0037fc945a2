-- A session joins a log, or goes on with it at its new owner.
--
-- ARGV, from 8: the generation; the log; how many of its last entries a session gets that has not joined yet; and how long
-- the log lives.

local record, why = owned(tonumber(ARGV[8]))
if not record then
    return { why }
end
local log, life = ARGV[9], ARGV[11]
local at = redis.call('HGET', record_key, 'log:' .. log)
local first, last, bytes = log_numbers(log)
if not at then
    at = text(math.max(last - tonumber(ARGV[10]), first - 1))
    redis.call('HSET', record_key, 'log:' .. log, at)
end
redis.call('HSET', log_key(log), 'first', text(first), 'last', text(last), 'bytes', text(bytes))
renew()
renew_log(log, life)
return { 'joined', at }
