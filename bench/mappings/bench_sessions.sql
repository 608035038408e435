-- One row per attempt in the sessions that bench/forms.py writes. A session is a file of attempts, which alternate; an attempt is a
-- line that starts it, a line for each message in the form of OpenAI, and a line that ends it, which has its verdict. The record's
-- own item is the line that starts it, all its lines are its parts.
-- grain: file
-- fields:
--   event text required = /event
--   attempt integer required = /attempt
--   run text = /run
--   task text = /task
--   at text = /at
--   model text = /model
--   file text = /file
--   message json = /message
--   verdict text = /verdict
--   cited_paths texts = /cited_paths
--   latency_ms number = /latency_ms
--   cost_usd number = /cost_usd
--   prompt_tokens integer = /prompt_tokens
--   completion_tokens integer = /completion_tokens
with attempt as (
    select
        unit,
        attempt,
        min(item_number) filter (where event = 'start') as start_item,
        min(item_number) filter (where event = 'end') as end_item,
        list(struct_pack(source_path := source_path, item_number := item_number) order by item_number) as parts,
        '[' || string_agg(message, ',' order by item_number) || ']' as messages,
    from raw.item
    group by unit, attempt
)

select
    started.source_path,
    started.item_number,
    attempt.parts,
    'verdict' as source_class,
    started.run as run_id,
    started.task as task_id,
    started.at as created_at,
    started.model,
    started.file,
    attempt.messages,
    ended.verdict,
    ended.cited_paths,
    ended.latency_ms,
    ended.cost_usd,
    ended.prompt_tokens,
    ended.completion_tokens,
    case when ended.item_number is null then 'missing_end' end as problem,
from attempt
inner join raw.item as started on attempt.unit = started.unit and attempt.start_item = started.item_number
left join raw.item as ended on attempt.unit = ended.unit and attempt.end_item = ended.item_number
