-- A client has said hello.
--
-- ARGV, from 8: who it is; whether it may resume (1 or 0); attempt; epoch; whether it has sent anything; how long ago its
-- first hello was sent at most, in milliseconds; the generation that the half owns, or empty; the epoch to begin; how the
-- session was lost, if its owner has found so; the number before the first; and the ticket of this question.

local identity, may_resume, attempt, epoch = ARGV[8], ARGV[9] == '1', tonumber(ARGV[10]), tonumber(ARGV[11])
local has_sent, began, owner = ARGV[12] == '1', now - tonumber(ARGV[13]), tonumber(ARGV[14])
local new_epoch, lost, origin, ticket = tonumber(ARGV[15]), ARGV[16], tonumber(ARGV[17]), ARGV[18]
local begins = epoch == 0 and not has_sent

-- A hello whose session began before may have been on its way since before the memory began.
local function young_until()
    return tonumber(redis.call('HGET', meta, 'since')) + YOUNG_MS
end

local function opened(record, found, has_snapshot)
    local doubtful = record.doubted == 1 and begins and '1' or '0'
    local reply = {
        'opened', text(record.epoch), text(record.owner), text(record.owner_in_epoch), found, doubtful,
    }
    if has_snapshot then
        reply[7] = text(record.handled)
        reply[8] = record.also
        reply[9] = text(record.base)
        reply[10] = text(record.last)
        reply[11] = record.asked
        reply[12] = redis.call('XRANGE', stream, '-', '+')
    end
    return reply
end

-- Makes a new record, in place of whatever was there.
local function replace(old, found)
    -- Counted on, whatever was there before: a half of an earlier epoch may still ask. The first write, which is refused
    -- when there is no memory.
    local generation = redis.call('HINCRBY', meta, 'owners', 1)
    local highest = attempt
    if old then
        if not old.over then
            highest = math.max(attempt, old.attempt)
        end
        remove(name, old)
    else
        redis.call('DEL', stream)
        redis.call('HDEL', record_key, 'holes')
    end
    local said = ''
    if string.sub(found, 1, 5) == 'lost ' then
        said = text(epoch) .. ' ' .. string.sub(found, 6)
    end
    local doubted = began <= young_until() and '1' or '0'
    local at = text(origin)
    redis.call(
        'HSET', record_key, 'identity', identity, 'attempt', text(highest), 'epoch', text(new_epoch),
        'owner', text(generation), 'owner_in_epoch', '1', 'step', '0', 'first', '0', 'handled', at, 'also', '',
        'base', at, 'last', at, 'total', '0', 'bytes', '0', 'entries', '0', 'asked', '', 'answers', '',
        'verdict', said, 'doubted', doubted, 'ticket', ticket, 'found', found, 'snapshot', '0'
    )
    renew()
    return opened(read(record_key), found, false)
end

local record = read(record_key)
local owns = record and not record.over and record.owner == owner
-- The same question again: its answer was lost on the way.
if record and not record.over and record.ticket == ticket then
    return opened(record, record.found, record.snapshot == '1')
end
sweep(owns and name)
if owns then
    renew()
else
    record = read(record_key)
end

if record and record.identity ~= identity then
    return { 'refused' }
end

if not record or record.over then
    local found = 'fresh'
    if record then
        if not record.verdict then
            return { 'over' }
        end
        if attempt <= record.attempt then
            return { 'stale' }
        end
        if not begins then
            found = 'lost unknown'
            local verdicts = { record.before or record.verdict, record.verdict }
            for _, said in ipairs(verdicts) do
                local of, what = string.match(said, '^(%d+) (.*)$')
                -- Without an epoch, the client has had no welcome.
                if tonumber(of) == epoch or epoch == 0 then
                    found = 'lost ' .. what
                    break
                end
            end
        end
    elseif not begins and not (epoch == 0 and began > young_until()) then
        -- A proxy may have held the hello up before its handshake here.
        found = 'lost unknown'
    end
    if redis.call('ZCARD', sessions) >= max_sessions then
        return { 'no room' }
    end
    return replace(record, found)
end

local late
if lost ~= '' then
    late = attempt < record.attempt or not owns
else
    late = attempt <= record.attempt
end
if late then
    return { 'stale' }
end
if lost ~= '' then
    -- Whoever has sent nothing has nothing to lose.
    return replace(record, begins and 'fresh' or 'lost ' .. lost)
end
local is_next = attempt == record.attempt + 1
local said_of, said = string.match(record.verdict, '^(%d+) (.*)$')
local is_it = epoch == record.epoch or (epoch == 0 and record.verdict == '')
if not may_resume and not owns then
    if begins then
        return replace(record, 'fresh')
    end
    return replace(record, 'lost ' .. (is_it and verdict('refused', record) or 'refused'))
end
-- A hello may have come late and made this record, when what its client sent with a later one was handled before the
-- memory began. Only if no attempt is missing can that not be.
if record.doubted == 1 and epoch == 0 and has_sent and not is_next and is_it then
    return replace(record, 'lost unknown')
end
local found = 'continued'
if not is_it then
    if tonumber(said_of) ~= epoch then
        return replace(record, 'lost unknown')
    end
    found = 'lost ' .. said
end
-- Whoever took keys away, the client must not go on with a gap.
if redis.call('XLEN', stream) ~= record.entries then
    return replace(record, begins and 'fresh' or 'lost unknown')
end
record.attempt = attempt
-- The first write, which needs no memory: whoever comes back is let in also when there is none.
renew()
if not owns then
    record.owner = redis.call('HINCRBY', meta, 'owners', 1)
    if begins then
        -- Nothing was sent to any earlier owner, so for the client this is the first.
        record.owner_in_epoch = 1
    else
        record.owner_in_epoch = math.min(record.owner_in_epoch + 1, MAX_NUMBER)
    end
    redis.call('HSET', record_key, 'step', '0', 'first', '0')
end
redis.call(
    'HSET', record_key, 'attempt', text(attempt), 'owner', text(record.owner), 'owner_in_epoch',
    text(record.owner_in_epoch), 'ticket', ticket, 'found', found, 'snapshot', owns and '0' or '1'
)
return opened(record, found, not owns)
