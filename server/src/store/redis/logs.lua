-- What scripts do with shared logs. A log is a hash with its numbers, and a stream of its entries. The session's record
-- has a field for each log that it has joined: the number of the last entry that the session has.

local function log_key(log)
    return prefix .. 'log:' .. log
end

local function entries_key(log)
    return prefix .. 'entries:' .. log
end

-- The log lives for so many milliseconds after it was last used.
local function renew_log(log, life)
    redis.call('PEXPIRE', log_key(log), life)
    redis.call('PEXPIRE', entries_key(log), life)
end

-- The numbers of its first and last entries, and the bytes of all. A log that is new, or that was gone, begins where none
-- of its numbers have been, so that nobody takes its entries for those that come next.
local function log_numbers(log)
    local values = redis.call('HMGET', log_key(log), 'first', 'last', 'bytes')
    if values[1] then
        return tonumber(values[1]), tonumber(values[2]), tonumber(values[3])
    end
    redis.call('DEL', entries_key(log))
    return now * 1000, now * 1000 - 1, 0
end

-- Appends an entry, at the cost of the oldest. Returns its number, or an error if its first write is refused.
local function append(log, entry, max_entries, max_bytes, life)
    local key = log_key(log)
    local first, last, bytes = log_numbers(log)
    last = last + 1
    local added = redis.pcall('XADD', entries_key(log), text(last) .. '-0', 'd', entry)
    if type(added) == 'table' and added.err then
        return nil, added
    end
    bytes = bytes + #entry
    while first < last and (bytes > max_bytes or last - first >= max_entries) do
        local oldest = redis.call('XRANGE', entries_key(log), text(first), text(first))[1]
        if oldest then
            bytes = bytes - #oldest[2][2]
            redis.call('XDEL', entries_key(log), oldest[1])
        end
        first = first + 1
    end
    redis.call('HSET', key, 'first', text(first), 'last', text(last), 'bytes', text(bytes))
    renew_log(log, life)
    redis.call('PUBLISH', key, text(last))
    return last
end
