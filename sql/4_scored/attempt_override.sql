-- One row per attempt (a run at a task, or a record without run_id) to which a person gave a category, in any of its records or in a
-- grade. It holds for all its records. The newest with a time replaces older ones; of it (of several at one time, all) and those
-- without a time the lowest holds.
-- key: task_id; scored.graded_attempt whole.
--   task_id: the task
--   run_id: the agent's run; null: the attempt is a record without run_id
--   lone_key: the record_key of that record; null: the attempt has a run_id
--   category: the category that holds, see policy.category
--   is_by_grade: whether one of those of which the lowest holds stands in a grade
--   comparisons: the comparisons of such grades, each once; empty: they have none
--   reasons: each category that a person gave to the attempt, as "human_override: rejected", in the order of these texts
with said as (
    select
        record.task_id,
        record.run_id,
        case when record.run_id is null then record.record_key end as lone_key,
        record.created_at,
        record.human_override as category,
        false as is_by_grade,
        null as comparison,
    from evidence.stored_record as record
    where record.human_override is not null and record.source_class <> 'grade'
    union all
    select
        met.task_id,
        met.run_id,
        met.lone_key,
        record.created_at,
        record.human_override as category,
        true as is_by_grade,
        record.comparison,
    from evidence.stored_record as record
    inner join scored.graded_attempt as met on record.record_key = met.grade_key and met.counts
    where record.human_override is not null
),

dated as (
    select
        said.*,
        category.standing,
        said.created_at is null
        or said.created_at = max(said.created_at) over (partition by said.task_id, said.run_id, said.lone_key) as holds,
    from said
    left join policy.category as category on said.category = category.category
)

select
    task_id,
    run_id,
    lone_key,
    arg_min(category, standing) filter (where holds) as category,
    bool_or(is_by_grade and holds) as is_by_grade,
    coalesce(list(distinct comparison order by comparison) filter (where is_by_grade and holds and comparison is not null), [])
        as comparisons,
    list(distinct 'human_override: ' || category order by 'human_override: ' || category) as reasons,
from dated
group by task_id, run_id, lone_key
