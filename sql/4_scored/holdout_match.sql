-- One row per line of the hold-out: how many tasks of records it names. A line that names none reserves nothing.
-- key: whole.
--   line: the line of the file, see policy.holdout
--   tasks: how many tasks have its task_id, or a record with its prompt, as prompts are compared
select
    holdout.line,
    count(named.task_id) as tasks,
from policy.holdout as holdout
left join scored.holdout_task as named on holdout.line = named.line
group by holdout.line
