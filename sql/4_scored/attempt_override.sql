-- One row per attempt (a run at a task) to which a person gave a category, in any of its records. It holds for all of them. The
-- newest with a time replaces older ones; of it (of several at one time, all) and those without a time the lowest holds.
-- A record without run_id is an attempt by itself, and not here.
-- key: task_id.
--   task_id: the task
--   run_id: the agent's run
--   category: the category that holds, see policy.category
--   reasons: each category that a person gave to the attempt, as "human_override: rejected", in the order of these texts
with said as (
    select
        record.task_id,
        record.run_id,
        record.created_at,
        record.human_override as category,
        category.standing,
    from evidence.record as record
    left join policy.category as category on record.human_override = category.category
    where record.human_override is not null and record.run_id is not null
),

newest as (
    select
        task_id,
        run_id,
        max(created_at) as created_at,
    from said
    group by task_id, run_id
)

select
    said.task_id,
    said.run_id,
    arg_min(said.category, said.standing) filter (
        where said.created_at is null or said.created_at = newest.created_at
    ) as category,
    list(distinct 'human_override: ' || said.category order by 'human_override: ' || said.category) as reasons,
from said
inner join newest on said.task_id = newest.task_id and said.run_id = newest.run_id
group by said.task_id, said.run_id
