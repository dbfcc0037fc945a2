-- What all scripts have in common. Each is one question, and the answer to it.
--
-- KEYS: the session's record (a hash), what it has sent and nobody has acknowledged (a stream), the store's own numbers
-- (a hash), the sessions by the end of their lease, and the tombstones by the end of theirs (sorted sets).
-- ARGV: the time in milliseconds, empty for this server's own; the prefix of all keys; the session's name; how long a
-- lease is, in milliseconds; at most so many sessions, tombstones, and bytes of all sessions; and what is asked.
--
-- Out of memory, a script is refused its first write that needs some, and nothing after that. So whatever may be refused
-- comes first, and what frees memory begins with a write that needs none.

local MAX_NUMBER = 9007199254740991
local YOUNG_MS = 60000
local CLOSED_TOMBSTONE_MS = 600000
local EXPIRED_TOMBSTONE_MS = 86400000
-- No question waits for more of other sessions to be tidied up than this.
local SWEEP = 16

local record_key, stream, meta, sessions, graves = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local prefix, name = ARGV[2], ARGV[3]
local lease_ms, max_sessions = tonumber(ARGV[4]), tonumber(ARGV[5])
local max_tombstones, max_bytes = tonumber(ARGV[6]), tonumber(ARGV[7])

-- Lua itself writes large numbers with 14 digits only.
local function text(number)
    return string.format('%.0f', number)
end

local function numbers(list)
    local found = {}
    for number in string.gmatch(list, '%d+') do
        found[#found + 1] = tonumber(number)
    end
    return found
end

local function joined(list)
    local texts = {}
    for at, number in ipairs(list) do
        texts[at] = text(number)
    end
    return table.concat(texts, ',')
end

local now = tonumber(ARGV[1])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A store that has lost its keys begins anew: it remembers every session since then. Its generations begin where no
-- earlier ones have been.
if redis.call('EXISTS', meta) == 0 then
    redis.call('HSET', meta, 'since', text(now), 'owners', text(now * 1000), 'bytes', '0')
end

local NUMBERS = {
    'attempt', 'epoch', 'owner', 'owner_in_epoch', 'step', 'first', 'handled', 'base', 'last', 'total', 'bytes',
    'entries', 'doubted', 'over',
}
local TEXTS = { 'identity', 'also', 'asked', 'answers', 'verdict', 'before', 'ticket', 'found', 'snapshot', 'holes' }

-- A record, or the tombstone of one, which has the field `over`.
local function read(key)
    local fields = {}
    for _, field in ipairs(NUMBERS) do
        fields[#fields + 1] = field
    end
    for _, field in ipairs(TEXTS) do
        fields[#fields + 1] = field
    end
    local values = redis.call('HMGET', key, unpack(fields))
    local record = {}
    for at, field in ipairs(fields) do
        if at <= #NUMBERS then
            record[field] = tonumber(values[at] or nil)
        else
            record[field] = values[at] or nil
        end
    end
    if record.attempt then
        return record
    end
end

-- A verdict of the store's own: what was given beyond what is handled, nobody knows.
local function verdict(why, record)
    local most = text(MAX_NUMBER)
    return why .. ' ' .. text(record.handled) .. ' ' .. most .. ' ' .. most .. ' ' .. record.also
end

-- The tombstone is gone. Whatever began before it was made may be forgotten.
local function forget(grave)
    local of, made = string.match(grave, '^(%S+) (%d+)$')
    redis.call('ZREM', graves, grave)
    redis.call('DEL', prefix .. of)
    local since = tonumber(redis.call('HGET', meta, 'since'))
    if tonumber(made) + 1 > since then
        redis.call('HSET', meta, 'since', text(tonumber(made) + 1))
    end
end

-- The record and what it has sent are gone.
local function remove(of, record)
    redis.call('DEL', prefix .. of, prefix .. of .. ':sent')
    redis.call('ZREM', sessions, of)
    if record.bytes and record.bytes > 0 then
        redis.call('HINCRBY', meta, 'bytes', text(-record.bytes))
    end
    if record.over then
        redis.call('ZREM', graves, of .. ' ' .. text(record.over))
    end
end

-- A tombstone takes the place of a record; `lost` is empty if the session was closed or ended.
local function bury(of, record, lost)
    remove(of, record)
    while redis.call('ZCARD', graves) >= math.max(max_tombstones, 1) do
        forget(redis.call('ZRANGE', graves, 0, 0)[1])
    end
    local life = CLOSED_TOMBSTONE_MS
    local key = prefix .. of
    redis.call('HSET', key, 'identity', record.identity, 'attempt', text(record.attempt), 'over', text(now))
    if lost ~= '' then
        life = EXPIRED_TOMBSTONE_MS
        redis.call('HSET', key, 'verdict', text(record.epoch) .. ' ' .. lost)
        -- If nothing of this epoch has arrived, as far as the store knows, the client may still mean the one before.
        if record.verdict ~= '' then
            redis.call('HSET', key, 'before', record.verdict)
        end
    end
    redis.call('PEXPIRE', key, text(life))
    redis.call('ZADD', graves, text(now + life), of .. ' ' .. text(now))
end

-- Ends the sessions whose leases have run out, and forgets old tombstones. An owner that asks is alive, however late.
local function sweep(alive)
    local late = redis.call('ZRANGEBYSCORE', sessions, '-inf', text(now), 'LIMIT', 0, SWEEP)
    for _, of in ipairs(late) do
        if of ~= alive then
            local record = read(prefix .. of)
            if record and not record.over then
                bury(of, record, verdict('expired', record))
            else
                redis.call('ZREM', sessions, of)
            end
        end
    end
    for _, grave in ipairs(redis.call('ZRANGEBYSCORE', graves, '-inf', text(now), 'LIMIT', 0, SWEEP)) do
        forget(grave)
    end
    -- Keys that nobody asked for in a whole day have gone by themselves.
    if #late > 0 and redis.call('ZCARD', sessions) == 0 then
        redis.call('HSET', meta, 'bytes', '0')
    end
end

-- The session lives for another lease. Its keys live longer, so that its end is seen and told.
local function renew()
    local keep = text(lease_ms + EXPIRED_TOMBSTONE_MS)
    redis.call('PEXPIRE', record_key, keep)
    redis.call('PEXPIRE', stream, keep)
    redis.call('ZADD', sessions, text(now + lease_ms), name)
end

-- The session's record if this generation owns it, or why not.
local function owned(owner)
    local record = read(record_key)
    local owns = record and not record.over and record.owner == owner
    sweep(owns and name)
    if not owns then
        record = read(record_key)
    end
    if not record or record.over then
        return nil, 'gone'
    end
    if not owns then
        return nil, 'fenced'
    end
    return record
end
