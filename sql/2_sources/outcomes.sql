-- One row per task that an agent ran, with telemetry and without a verdict. Counts of events above 0 are markers.
-- fields:
--   run_id text = /run_id
--   task_id text required = /task_id
--   created_at text required = /created_at
--   model text = /model
--   prompt text = /prompt
--   response text = /response
--   ok_events number = /ok_events
--   error_events number = /error_events
--   gap_signals number = /gap_signals
--   latency_ms number = /latency_ms
--   cost_usd number = /cost_usd
--   prompt_tokens integer = /prompt_tokens
--   completion_tokens integer = /completion_tokens
select
    source_path,
    item_number,
    'telemetry' as source_class,
    run_id,
    task_id,
    created_at,
    model,
    prompt,
    response,
    case when ok_events > 0 then ['ok_events'] else [] end as success_markers,
    list_concat(
        case when error_events > 0 then ['error_events'] else [] end,
        case when gap_signals > 0 then ['gap_signals'] else [] end
    ) as failure_markers,
    latency_ms,
    cost_usd,
    prompt_tokens,
    completion_tokens,
from raw.item
