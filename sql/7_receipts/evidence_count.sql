-- One row per stat of collect and first reason: how many lines, as the relations of this warehouse have it now. stat is in, blank
-- (beside those that went in), accepted or skipped.
select
    'collect' as stage,
    'in' as stat,
    null::varchar as reason,
    coalesce(sum(record_count), 0)::bigint as records,
from evidence.file
union all
select
    'collect' as stage,
    'blank' as stat,
    null::varchar as reason,
    coalesce(sum(blank_count), 0)::bigint as records,
from evidence.file
union all
select
    'collect' as stage,
    'accepted' as stat,
    null::varchar as reason,
    count(*) as records,
from evidence.record
union all
select
    'collect' as stage,
    'skipped' as stat,
    reason,
    count(*) as records,
from evidence.skipped
group by reason
