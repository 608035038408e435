-- One row per session: a file of lines, each with a message that an agent appended. All lines of a file are parts of its record,
-- so a session that grows changes its one record. The last line that names a model or a time counts; all lines that name a run or
-- a task must name the same. There is no grade.
-- reads: *.jsonl *.ndjson
-- grain: file
-- fields:
--   run_id text = /run_id
--   task_id text = /task_id
--   created_at text = /created_at
--   model text = /model
--   message json = /message
select
    unit as source_path,
    min(item_number) as item_number,
    list(struct_pack(source_path, item_number)) as parts,
    'telemetry' as source_class,
    min(run_id) as run_id,
    min(task_id) as task_id,
    arg_max(created_at, item_number) as created_at,
    arg_max(model, item_number) as model,
    '[' || string_agg(message, ',' order by item_number) || ']' as messages,
    case when count(distinct run_id) > 1 or count(distinct task_id) > 1 then 'several_attempts' end as problem,
from raw.item
group by unit
