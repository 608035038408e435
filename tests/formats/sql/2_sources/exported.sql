-- One row per attempt in a Parquet export of a team's own store.
-- fields:
--   run text required = /run
--   task text required = /task
--   finished text = /at
--   model text = /model
--   prompt text = /prompt
--   response text = /response
--   passed boolean = /passed
--   tokens integer = /usage/output
select
    'verdict' as source_class,
    run as run_id,
    task as task_id,
    finished as created_at,
    model,
    prompt,
    response,
    case passed when true then 'pass' when false then 'fail' end as verdict,
    tokens as completion_tokens,
from raw.item
