-- One row per task that an agent ran, with telemetry and without a verdict.
--   source_path: the file of the line, from raw.item
--   item_number: the number of the line, from raw.item
--   source_class: telemetry
--   run_id: /run_id
--   task_id: /task_id
--   created_at: /created_at
--   model: /model
--   prompt: /prompt
--   response: /response
--   success_markers: ok_events where /ok_events is above 0
--   failure_markers: error_events and gap_signals, each where its field is above 0
--   latency_ms: /latency_ms
--   cost_usd: /cost_usd
--   prompt_tokens: /prompt_tokens
--   completion_tokens: /completion_tokens
--   problem: missing_<field> (absent or blank) or bad_<field> (of another type); null: no fault was found
with field as (
    select
        source_path,
        item_number,
        unnest(json_transform(json, '{
            "run_id": "JSON", "task_id": "JSON", "created_at": "JSON", "model": "JSON", "prompt": "JSON",
            "response": "JSON", "ok_events": "JSON", "error_events": "JSON", "gap_signals": "JSON",
            "latency_ms": "JSON", "cost_usd": "JSON", "prompt_tokens": "JSON", "completion_tokens": "JSON"
        }')),
    from raw.item
)

select
    source_path,
    item_number,
    'telemetry' as source_class,
    sources.as_text(run_id) as run_id,
    sources.as_text(task_id) as task_id,
    sources.as_text(created_at) as created_at,
    sources.as_text(model) as model,
    sources.as_text(prompt) as prompt,
    sources.as_text(response) as response,
    case when sources.as_number(ok_events) > 0 then ['ok_events'] else [] end as success_markers,
    list_concat(
        case when sources.as_number(error_events) > 0 then ['error_events'] else [] end,
        case when sources.as_number(gap_signals) > 0 then ['gap_signals'] else [] end
    ) as failure_markers,
    sources.as_number(latency_ms) as latency_ms,
    sources.as_number(cost_usd) as cost_usd,
    sources.as_integer(prompt_tokens) as prompt_tokens,
    sources.as_integer(completion_tokens) as completion_tokens,
    case
        when policy.is_blank(sources.as_text(task_id)) then 'missing_task_id'
        when policy.is_blank(sources.as_text(created_at)) then 'missing_created_at'
        when not sources.is_text(run_id) then 'bad_run_id'
        when not sources.is_text(task_id) then 'bad_task_id'
        when not sources.is_text(created_at) then 'bad_created_at'
        when not sources.is_text(model) then 'bad_model'
        when not sources.is_text(prompt) then 'bad_prompt'
        when not sources.is_text(response) then 'bad_response'
        when not sources.is_number(ok_events) then 'bad_ok_events'
        when not sources.is_number(error_events) then 'bad_error_events'
        when not sources.is_number(gap_signals) then 'bad_gap_signals'
        when not sources.is_number(latency_ms) then 'bad_latency_ms'
        when not sources.is_number(cost_usd) then 'bad_cost_usd'
        when not sources.is_integer(prompt_tokens) then 'bad_prompt_tokens'
        when not sources.is_integer(completion_tokens) then 'bad_completion_tokens'
    end as problem,
from field
