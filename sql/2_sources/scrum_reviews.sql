-- One row per review of a change by a scrum agent. The review is the response; the verdict is approve, request_changes, reject or
-- escalate.
-- fields:
--   run_id text = /run_id
--   task_id text required = /task_id
--   created_at text required = /created_at
--   model text = /model
--   file text = /file
--   prompt text = /prompt
--   review text = /review
--   verdict text = /verdict
--   cited_paths texts = /cited_paths
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
    cited_paths,
from raw.item
