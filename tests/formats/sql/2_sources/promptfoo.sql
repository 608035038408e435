-- One row per result of a promptfoo evaluation (`promptfoo eval -o out.json` or `-o out.jsonl`): one prompt, one provider, one
-- test. Whether it succeeded is its verdict. A test without assertions has no grade, whatever it says. A failureReason of 2 is an
-- error of the machine; otherwise the error says which assertion failed. The task is the test's variables, so that repeats of a
-- test are attempts at one task.
-- reads: *.json *.jsonl
-- items: /results/results/*
-- fields:
--   id text required = /id
--   vars json required = /vars
--   model text = /provider/label
--   prompt text = /prompt/raw
--   output json = /response/output
--   checks json = /gradingResult/componentResults
--   success boolean = /success
--   score number = /score
--   failure_reason integer = /failureReason
--   error text = /error
--   latency_ms number = /latencyMs
--   cost_usd number = /cost
with result as (
    select
        *,
        json_array_length(checks) > 0 and failure_reason <> 2 as is_graded,
    from raw.item
)

select
    source_path,
    item_number,
    'verdict' as source_class,
    id as run_id,
    sha256(json(vars)) as task_id,
    model,
    case when json_valid(prompt) then coalesce(prompt ->> '$[#-1].content', prompt) else prompt end as prompt,
    output ->> '$' as response,
    case when is_graded then success::varchar end as verdict,
    case when is_graded then score end as score,
    case when failure_reason = 2 then error end as infrastructure_error,
    latency_ms,
    cost_usd,
from result
