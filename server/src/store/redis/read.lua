-- What a log has behind an entry.
--
-- ARGV, from 8: the log; the entry's number; at most so many entries; and how long the log lives.

local log = ARGV[8]
local first = redis.call('HGET', log_key(log), 'first')
if not first then
    return { 'gone' }
end
renew_log(log, ARGV[11])
local from = text(tonumber(ARGV[9]) + 1)
return { 'read', first, redis.call('XRANGE', entries_key(log), from, '+', 'COUNT', ARGV[10]) }
