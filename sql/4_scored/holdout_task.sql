-- One row per line of the hold-out and task of the evidence that it names: by its task_id, or by a prompt that a record of the task has,
-- as prompts are compared.
-- key: task_id; policy.holdout whole.
--   line: the line of the file, see policy.holdout
--   task_id: the task
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
