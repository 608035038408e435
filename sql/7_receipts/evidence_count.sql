-- One row per stat of the stage collect and first reason: how many lines, counted now in this warehouse.
--   stage: collect
--   stat: in (lines that are not blank, and unreadable files), blank (not part of in), accepted or skipped
--   reason: why they were skipped; null for the others
--   records: how many lines
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
