-- One row per line of the hold-out: how many tasks of records it names. A line that names none reserves nothing.
-- key: whole.
--   line: the line of the file, see policy.holdout
--   tasks: how many tasks have its task_id, or a record with its prompt, as prompts are compared
with named as (
    select
        holdout.line,
        record.task_id,
    from policy.holdout as holdout
    inner join evidence.stored_record as record on holdout.task_id = record.task_id
    where record.source_class <> 'grade'
    union
    select
        holdout.line,
        record.task_id,
    from policy.holdout as holdout
    inner join evidence.stored_record as record on unhex(sha256(policy.normalised(holdout.prompt))) = record.prompt_hash
    where holdout.prompt is not null and record.source_class <> 'grade'
)

select
    holdout.line,
    count(named.task_id) as tasks,
from policy.holdout as holdout
left join named on holdout.line = named.line
group by holdout.line
