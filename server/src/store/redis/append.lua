-- Somebody outside all sessions appends to a log.
--
-- ARGV, from 8: the log; the entry; at most so many entries, and bytes; how long the log lives; and a name for this
-- question, by which it is known when it is asked again.

local log, life = ARGV[8], ARGV[12]
local once = prefix .. 'once:' .. ARGV[13]
local before = redis.call('GET', once)
if before then
    return { 'appended', before }
end
local number, refused = append(log, ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11]), life)
if not number then
    return refused
end
redis.call('SET', once, text(number), 'PX', 60000)
return { 'appended', text(number) }
