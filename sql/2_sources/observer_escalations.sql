-- One row per task that an observer agent handed over to a person. The reason is the only failure marker.
-- fields:
--   run_id text = /run_id
--   task_id text required = /task_id
--   created_at text required = /created_at
--   reason text = /reason
--   text text = /text
select
    source_path,
    item_number,
    'extraction' as source_class,
    run_id,
    task_id,
    created_at,
    text as response,
    case when not policy.is_blank(reason) then [reason] else [] end as failure_markers,
from raw.item
