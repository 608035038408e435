-- One row per procedure that was distilled from a finished task. Its category comes from the verdicts on the task.
-- fields:
--   run_id text = /run_id
--   task_id text required = /task_id
--   created_at text required = /created_at
--   text text = /text
--   cited_paths texts = /cited_paths
select
    source_path,
    item_number,
    'extraction' as source_class,
    run_id,
    task_id,
    created_at,
    text as response,
    cited_paths,
from raw.item
