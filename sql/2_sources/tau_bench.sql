-- One row per trajectory of tau-bench: one trial of one task. Its file is named <model>-<domain>.jsonl. Trajectories carry no
-- time.
--   source_path: the file of the line, from raw.item
--   item_number: the number of the line, from raw.item
--   source_class: verdict
--   run_id: the file's name without its ending, /task_id and /trial, joined by slashes
--   task_id: the domain in the file's name and /task_id, joined by a slash
--   model: the model in the file's name; null where it names none
--   prompt: /info/task/instruction
--   response: the last text in /traj that the assistant wrote; null where it wrote none
--   messages: /traj
--   score: /reward
--   problem: missing_<field> (absent or blank) or bad_<field> (of another type); null: no fault was found
with field as (
    select
        source_path,
        item_number,
        regexp_extract(source_path, '([^/]*)\.jsonl(\.gz|\.zst)?$', 1) as stem,
        unnest(json_transform(json, '{
            "task_id": "JSON", "trial": "JSON", "traj": "JSON", "reward": "JSON", "info": "JSON"
        }')),
    from raw.item
),

part as (
    select
        field.*,
        regexp_extract(stem, '^(.*)-[^-]*$', 1) as model,
        regexp_extract(stem, '[^-]*$') as domain,
        json_extract(info, '$.task') as task,
        nullif(json_extract(info, '$.task.instruction')::varchar, 'null')::json as instruction,
        list_filter(
            json_transform(traj, '[{"role": "JSON", "content": "JSON"}]'),
            lambda message: message.role::varchar = '"assistant"'
            and sources.is_text(message.content)
            and not policy.is_blank(sources.as_text(message.content))
        ) as spoken,
    from field
)

select
    source_path,
    item_number,
    'verdict' as source_class,
    concat_ws('/', stem, sources.as_text(task_id), sources.as_text(trial)) as run_id,
    domain || '/' || sources.as_text(task_id) as task_id,
    nullif(model, '') as model,
    sources.as_text(instruction) as prompt,
    sources.as_text(spoken[-1].content) as response,
    traj as messages,
    sources.as_number(reward) as score,
    case
        when policy.is_blank(sources.as_text(task_id)) then 'missing_task_id'
        when policy.is_blank(sources.as_text(trial)) then 'missing_trial'
        when traj is null then 'missing_traj'
        when reward is null then 'missing_reward'
        when info is null or (sources.is_object(info) and (task is null or task = 'null')) then 'missing_info.task.instruction'
        when sources.is_object(info) and sources.is_object(task) and policy.is_blank(sources.as_text(instruction))
            then 'missing_info.task.instruction'
        when not sources.is_text(task_id) and not sources.is_integer(task_id) then 'bad_task_id'
        when not sources.is_text(trial) and not sources.is_integer(trial) then 'bad_trial'
        when not sources.is_array(traj) then 'bad_traj'
        when not sources.is_number(reward) then 'bad_reward'
        when not sources.is_object(info) then 'bad_info'
        when not sources.is_object(task) then 'bad_info.task'
        when not sources.is_text(instruction) then 'bad_info.task.instruction'
    end as problem,
from part
