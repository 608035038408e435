-- One row per record of the class grade: which attempts it meets, and whether it counts.
-- key: whole, as scored.graded_attempt.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   run_id: the agent's run that it names; null: none
--   task_id: the task that it names; null: none
--   attempts: how many attempts it meets
--   outcome: met (one attempt), ambiguous_grade (several: it counts only where a person rejects) or unmatched_grade (none)
with met as (
    select
        grade_key,
        any_value(attempts) as attempts,
    from scored.graded_attempt
    group by grade_key
)

select
    record.record_key,
    record.source_path,
    record.item_number,
    record.record_number,
    record.run_id,
    record.task_id,
    coalesce(met.attempts, 0) as attempts,
    case
        when met.attempts is null then 'unmatched_grade'
        when met.attempts > 1 then 'ambiguous_grade'
        else 'met'
    end as outcome,
from evidence.stored_record as record
left join met on record.record_key = met.grade_key
where record.source_class = 'grade'
