-- One row per task that is on another side of the split than in the version before, see receipts.task_split.
--   task_id: the task
--   split_before: the side on which it was
--   split_now: the side on which it is
select
    task_group.task_id,
    before.split as split_before,
    task_group.split as split_now,
from scored.task_group as task_group
inner join receipts.task_split as before on task_group.task_id = before.task_id
where task_group.split <> before.split
