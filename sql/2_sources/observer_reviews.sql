-- One row per review of a run by an observer agent. The review is the response; the verdict is accept, reject or cycle (do it
-- again).
-- fields:
--   run_id text = /run_id
--   task_id text required = /task_id
--   created_at text required = /created_at
--   model text = /model
--   file text = /file
--   prompt text = /prompt
--   review text = /review
--   verdict text = /verdict
select
    source_path,
    item_number,
    'verdict' as source_class,
    run_id,
    task_id,
    created_at,
    model,
    file,
    prompt,
    review as response,
    verdict,
from raw.item
