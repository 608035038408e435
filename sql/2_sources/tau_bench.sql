-- One row per trajectory of tau-bench: one trial of one task. Its file is named <model>-<domain>, which gives the model and the
-- domain. The conversation is the trajectory; the instruction is the script of the simulated user, which the agent never saw, and is
-- no part of it. Trajectories carry no time.
-- items: /*
-- fields:
--   task_id json required = /task_id
--   trial json required = /trial
--   traj json required = /traj
--   reward number = /reward
with trajectory as (
    select
        *,
        regexp_extract(source_path, '([^/!]*?)[.](?:jsonl|ndjson|json)(?:[.][0-9]+)?(?:[.](?:gz|zst|bz2|xz))?$', 1, 'i') as stem,
    from raw.item
)

select
    source_path,
    item_number,
    'verdict' as source_class,
    concat_ws('/', stem, sources.as_text(task_id), sources.as_text(trial)) as run_id,
    regexp_extract(stem, '[^-]*$') || '/' || sources.as_text(task_id) as task_id,
    nullif(regexp_extract(stem, '^(.*)-[^-]*$', 1, 's'), '') as model,
    traj as messages,
    reward as score,
    case
        when not sources.is_text(task_id) and not sources.is_integer(task_id) then 'bad_task_id'
        when not sources.is_text(trial) and not sources.is_integer(trial) then 'bad_trial'
        when not sources.is_array(traj) then 'bad_traj'
    end as problem,
from trajectory
