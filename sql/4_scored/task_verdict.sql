-- One row per task that has records of the class verdict, or others that a grade decided. What was extracted from a task takes its
-- category from here.
-- key: task_id.
--   task_id: the task
--   category: the category that all these records have; null: they disagree
--   verdicts: how many such records the task has
with judged as (
    select
        task_id,
        coalesce(category, 'needs_human_review') as category,
    from scored.decided
    where source_class = 'verdict' or is_by_grade
)

select
    task_id,
    case when count(distinct category) = 1 then min(category) end as category,
    count(*) as verdicts,
from judged
group by task_id
