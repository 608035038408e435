-- One row per task that has verdict-class records: the category they all have (null: they disagree).
-- What was extracted from a task is as good as the verdicts on the task.
with judged as (
    select
        task_id,
        coalesce(by_override, by_verdict, by_score, by_grounded_fraction, by_markers, 'needs_human_review') as category,
    from scored.signal
    where source_class = 'verdict'
)

select
    task_id,
    case when count(distinct category) = 1 then min(category) end as category,
    count(*) as verdicts,
from judged
group by task_id
