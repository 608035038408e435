-- One row per task that has records of the class verdict. What was extracted from a task takes its category from here.
--   task_id: the task
--   category: the category that all these records have; null: they disagree
--   verdicts: how many such records the task has
with judged as (
    select
        task_id,
        coalesce(
            by_override,
            by_infrastructure_error,
            by_verdict,
            by_score,
            by_grounded_fraction,
            by_markers,
            'needs_human_review'
        ) as category,
    from scored.signal
    where source_class = 'verdict'
)

select
    task_id,
    case when count(distinct category) = 1 then min(category) end as category,
    count(*) as verdicts,
from judged
group by task_id
