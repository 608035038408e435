-- One row per stat of the stage collect and first reason: how many items, counted now in this warehouse.
--   stage: collect
--   stat: in (items that are not blank, and files that are entries as a whole), blank (not part of in), accepted (items that became
--       records or are part of one) or skipped
--   reason: why they were skipped; null for the others
--   records: how many items
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
    mapped + part as records,
from receipts.item_count
union all
select
    'collect' as stage,
    'skipped' as stat,
    reason,
    count(*) as records,
from evidence.skipped
group by reason
