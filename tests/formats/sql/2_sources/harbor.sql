-- One row per trial of a Harbor job: a folder with result.json, the agent's trajectory and the reward as a text. Of several
-- attempts within a trial the last counts. A trial whose reward Harbor calls invalid was broken by the machine.
-- reads: /*/*/result.json **/agent/trajectory.json **/verifier/reward.txt
-- grain: folder result.json
-- fields:
--   trial text = /trial_name
--   job text = /config/job_id
--   task text = /task_name
--   created_at text = /finished_at
--   model text = /agent_info/model_info/name
--   cost_usd number = /agent_result/cost_usd
--   is_valid boolean = /reward_valid
--   exception text = /exception_info/exception_type
--   steps json = /steps
--   score number = /verifier_result/rewards/reward
--   reward text = /text
with trial as (
    select
        min(source_path) filter (where trial is not null) as source_path,
        1 as item_number,
        list(struct_pack(source_path, item_number)) as parts,
        any_value(concat_ws('/', job, trial)) filter (where trial is not null) as run_id,
        any_value(task) as task_id,
        any_value(created_at) as created_at,
        any_value(model) as model,
        any_value(cost_usd) as cost_usd,
        any_value(is_valid) as is_valid,
        any_value(exception) as exception,
        coalesce(try_cast(arg_max(reward, source_path) as double), any_value(score)) as score,
        from_json(arg_max(steps, source_path), '[{"source": "VARCHAR", "message": "VARCHAR"}]') as steps,
    from raw.item
    group by unit
)

select
    source_path,
    item_number,
    parts,
    'verdict' as source_class,
    run_id,
    task_id,
    created_at,
    model,
    list_filter(steps, lambda step: step.source = 'user')[1].message as prompt,
    list_filter(steps, lambda step: step.source = 'agent')[-1].message as response,
    case when is_valid then score end as score,
    case when not is_valid then exception end as infrastructure_error,
    cost_usd,
from trial
where source_path is not null
