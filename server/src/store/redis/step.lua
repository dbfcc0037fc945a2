-- Something happened in an open session.
--
-- ARGV, from 8: the generation; the step's number; handled; the ranges beyond it; acknowledged; got; the numbers that
-- are freed; whether something of the epoch has arrived; how many entries, bytes and milliseconds a log has at most; how
-- many logs the items come from, and for each its name and the number of the last entry; how many entries to append to logs,
-- and for each the log's name and the entry; and each item that is to be numbered, whose first character says what it is.

local owner, number, handled, also = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
local acknowledged, got, freed, confirmed = tonumber(ARGV[12]), tonumber(ARGV[13]), numbers(ARGV[14]), ARGV[15] == '1'
local log_entries, log_bytes, log_life = tonumber(ARGV[16]), tonumber(ARGV[17]), ARGV[18]
local CURSORS = 20
local APPENDS = CURSORS + 2 * tonumber(ARGV[19]) + 1
local FIRST_ITEM = APPENDS + 2 * tonumber(ARGV[APPENDS - 1])

-- How many bytes of a message an item has: those of the four kinds of messages behind the first character.
local function message_bytes(item)
    if string.find(item, '^[tTbB]') then
        return #item - 1
    end
    return 0
end

local record, why = owned(owner)
if not record then
    return { why }
end
if number < record.step then
    return { 'fenced' }
end
if number == record.step then
    renew()
    return { 'stepped', text(record.first) }
end
-- Steps are asked for one after another. If some are missing here, this is an older copy of the store.
if number > record.step + 1 then
    bury(name, record, 'unknown')
    return { 'gone' }
end

local adds = 0
for at = FIRST_ITEM, #ARGV do
    adds = adds + message_bytes(ARGV[at])
end
if adds > 0 then
    local common, shares = math.ceil(max_bytes / 2), math.floor(math.floor(max_bytes / 2) / max_sessions)
    local all = tonumber(redis.call('HGET', meta, 'bytes'))
    if record.bytes + adds > shares and all + adds > common then
        renew()
        return { 'full' }
    end
end

local first, last, total, entries = record.last + 1, record.last, record.total, record.entries
local asked, answers = record.asked, record.answers
for at = FIRST_ITEM, #ARGV do
    local item = ARGV[at]
    last = last + 1
    local added = redis.pcall('XADD', stream, text(last) .. '-0', 'c', text(total), 'd', item)
    if type(added) == 'table' and added.err then
        -- If there is no memory the first one is refused, and nothing was done.
        if at == FIRST_ITEM and string.find(added.err, 'OOM', 1, true) then
            return { 'full' }
        end
        return added
    end
    entries = entries + 1
    total = total + message_bytes(item)
    local kind = string.sub(item, 1, 1)
    if kind == 'q' or kind == 'Q' then
        asked = asked .. ',' .. text(last)
    elseif string.find(kind, '[rReEfc]') then
        answers = answers .. ',' .. text(last)
    end
end
for at = APPENDS, FIRST_ITEM - 1, 2 do
    local appended, refused = append(ARGV[at], ARGV[at + 1], log_entries, log_bytes, log_life)
    if not appended then
        -- Again, nothing was done if it is the first write.
        if at == APPENDS and #ARGV < FIRST_ITEM and string.find(refused.err, 'OOM', 1, true) then
            return { 'full' }
        end
        return refused
    end
end
renew()
-- The session has these entries of its logs, under numbers of its own.
for at = CURSORS, APPENDS - 2, 2 do
    local before = redis.call('HGET', record_key, 'log:' .. ARGV[at])
    if before and tonumber(before) < tonumber(ARGV[at + 1]) then
        redis.call('HSET', record_key, 'log:' .. ARGV[at], ARGV[at + 1])
    end
end

local base = math.max(record.base, math.min(acknowledged, last))
if base > record.base then
    entries = entries - redis.call('XTRIM', stream, 'MINID', text(base + 1))
end
-- Messages that were freed before those in front of them: the number and the bytes of each.
local holes = record.holes or ''
for _, free in ipairs(freed) do
    local id = text(free) .. '-0'
    local entry = redis.call('XRANGE', stream, id, id)[1]
    if entry and message_bytes(entry[2][4]) > 0 then
        holes = holes .. ' ' .. text(free) .. ':' .. text(message_bytes(entry[2][4]))
    end
    entries = entries - redis.call('XDEL', stream, id)
end
if #freed > 0 and asked ~= '' then
    local is_free = {}
    for _, free in ipairs(freed) do
        is_free[free] = true
    end
    local rest = {}
    for _, request in ipairs(numbers(asked)) do
        if not is_free[request] then
            rest[#rest + 1] = request
        end
    end
    asked = joined(rest)
end
if answers ~= '' then
    local rest = {}
    for _, answer in ipairs(numbers(answers)) do
        if answer > base and answer <= got then
            entries = entries - redis.call('XDEL', stream, text(answer) .. '-0')
        elseif answer > base then
            rest[#rest + 1] = answer
        end
    end
    answers = joined(rest)
end

-- Each entry has the bytes of all before it, holes included.
local bytes = record.bytes + adds
if entries == 0 then
    bytes, holes = 0, ''
    if record.entries > 0 or last >= first then
        -- An empty stream would keep a kilobyte.
        redis.call('DEL', stream)
    end
elseif base > record.base or #freed > 0 then
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    bytes = total - tonumber(oldest[2][2])
    local from, rest = tonumber(string.match(oldest[1], '^%d+')), ''
    for free, size in string.gmatch(holes, '(%d+):(%d+)') do
        if tonumber(free) > from then
            bytes = bytes - tonumber(size)
            rest = rest .. ' ' .. free .. ':' .. size
        end
    end
    holes = rest
end
if holes ~= (record.holes or '') then
    redis.call('HSET', record_key, 'holes', holes)
end
if bytes ~= record.bytes then
    redis.call('HINCRBY', meta, 'bytes', text(bytes - record.bytes))
end
redis.call(
    'HSET', record_key, 'step', text(number), 'first', text(first), 'handled', text(math.max(record.handled, handled)),
    'also', also, 'base', text(base), 'last', text(last), 'total', text(total), 'bytes', text(bytes),
    'entries', text(entries), 'asked', asked, 'answers', answers,
    'verdict', confirmed and '' or record.verdict
)
return { 'stepped', text(first) }
