-- One row per item in the product's own format, which any system can write: its fields are named like the columns of
-- evidence.record. Messages and tools are arrays, or texts that hold one.
-- fields:
--   source_class text required = /source_class
--   run_id text = /run_id
--   task_id text = /task_id
--   created_at text = /created_at
--   model text = /model
--   file text = /file
--   prompt text = /prompt
--   response text = /response
--   messages json = /messages
--   tools json = /tools
--   verdict text = /verdict
--   score number = /score
--   grounded_fraction number = /grounded_fraction
--   comparison text = /comparison
--   success_markers texts = /success_markers
--   failure_markers texts = /failure_markers
--   infrastructure_error text = /infrastructure_error
--   human_override text = /human_override
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
    case when sources.is_text(messages) then sources.as_text(messages) else messages end as messages,
    case when sources.is_text(tools) then sources.as_text(tools) else tools end as tools,
    verdict,
    score,
    grounded_fraction,
    comparison,
    success_markers,
    failure_markers,
    infrastructure_error,
    human_override,
    cited_paths,
    latency_ms,
    cost_usd,
    prompt_tokens,
    completion_tokens,
from raw.item
