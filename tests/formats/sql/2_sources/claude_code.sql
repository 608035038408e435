-- One row per session of a coding agent (Claude Code): a file of lines, of which any may be added later. A message of the
-- model is several lines with one id, a block each. What a subagent, the harness or a failed call says is no part of the
-- conversation. There is no grade. The first text of the user is the task.
-- reads: *.jsonl
-- grain: file
-- fields:
--   type text = /type
--   session text = /sessionId
--   written text = /timestamp
--   id text = /message/id
--   model text = /message/model
--   content json = /message/content
--   is_sidechain boolean = /isSidechain
--   is_meta boolean = /isMeta
--   is_error boolean = /isApiErrorMessage
with message as (
    select
        unit,
        type as role,
        min(item_number) as place,
        any_value(model) as model,
        flatten(list(coalesce(
            from_json(content, '["JSON"]'), [json_object('type', 'text', 'text', content ->> '$')]
        ) order by item_number)) as blocks,
        array_to_string(list_transform(blocks, lambda block: block ->> '$.text'), chr(10)) as said,
    from raw.item
    where type in ('user', 'assistant') and not (coalesce(is_sidechain, false) or coalesce(is_meta or is_error, false))
    group by unit, type, coalesce(id, item_number::varchar)
),

session as (
    select
        unit as source_path,
        min(item_number) as item_number,
        list(struct_pack(source_path, item_number)) as parts,
        any_value(session) as run_id,
        max(written) as created_at,
    from raw.item
    group by unit
)

select
    session.*,
    'telemetry' as source_class,
    arg_min(said, place) filter (where role = 'user' and said <> '') as prompt,
    prompt as task_id,
    arg_max(said, place) filter (where role = 'assistant' and said <> '') as response,
    arg_max(model, place) as model,
    to_json(list(struct_pack(role, content := blocks) order by place)) as messages,
from session
inner join message on session.source_path = message.unit
group by all
