-- The session is over.
--
-- ARGV, from 8: the generation; how it was lost, empty if it was closed or ended; and whether something of the epoch has
-- arrived.

local record, why = owned(tonumber(ARGV[8]))
if not record then
    return { why }
end
if ARGV[10] == '1' then
    record.verdict = ''
end
bury(name, record, ARGV[9])
return { 'finished' }
