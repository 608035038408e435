-- One row per attempt at a task in one of the working modes of the agent: each mode is an attempt of its own.
-- fields:
--   run_id text = /run_id
--   task_id text required = /task_id
--   created_at text required = /created_at
--   mode text = /mode
--   model text = /model
--   prompt text = /prompt
--   response text = /response
--   grounded_fraction number = /validation_results/grounded_fraction
select
    source_path,
    item_number,
    'experiment' as source_class,
    concat_ws('/', run_id, mode) as run_id,
    task_id,
    created_at,
    model,
    prompt,
    response,
    grounded_fraction,
from raw.item
