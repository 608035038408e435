-- One row per element of the document that bench/forms.py writes: an array of records in the evidence shape.
-- items: /*
-- fields:
--   source_class text required = /source_class
--   run_id text = /run_id
--   task_id text required = /task_id
--   created_at text = /created_at
--   model text = /model
--   file text = /file
--   prompt text = /prompt
--   response text = /response
--   verdict text = /verdict
--   cited_paths texts = /cited_paths
--   latency_ms number = /latency_ms
--   cost_usd number = /cost_usd
--   prompt_tokens integer = /prompt_tokens
--   completion_tokens integer = /completion_tokens
select
    source_path,
    item_number,
    source_class,
    run_id,
    task_id,
    created_at,
    model,
    file,
    prompt,
    response,
    verdict,
    cited_paths,
    latency_ms,
    cost_usd,
    prompt_tokens,
    completion_tokens,
from raw.item
