-- One row per record of the class grade and attempt that it meets: with both ids, of this task and run; with a run alone, of this run at
-- any task; with a task alone, of this task by any run. A record without run_id is an attempt by itself.
-- key: whole; few tables are smaller than that of the grades.
--   grade_key: the record_key of the grade
--   task_id: the task of the attempt
--   run_id: the agent's run; null: the attempt is a record without run_id
--   lone_key: the record_key of that record; null: the attempt has a run_id
--   attempts: how many attempts the grade meets
--   counts: whether it counts for this one: it meets no other, or a person rejects all that it meets
with grade as (
    select
        record.record_key,
        record.task_id,
        record.run_id,
        record.human_override,
    from evidence.stored_record as record
    where record.source_class = 'grade'
),

attempt as ( -- of the tasks and runs that grades name
    select distinct
        record.task_id,
        record.run_id,
        case when record.run_id is null then record.record_key end as lone_key,
    from evidence.stored_record as record
    where
        record.source_class <> 'grade'
        and (
            record.task_id in (select grade.task_id from grade)
            or record.run_id in (select grade.run_id from grade)
        )
),

met as (
    select
        grade.record_key as grade_key,
        grade.human_override,
        attempt.*,
    from grade
    inner join attempt on grade.task_id = attempt.task_id and grade.run_id = attempt.run_id
    union all
    select
        grade.record_key as grade_key,
        grade.human_override,
        attempt.*,
    from grade
    inner join attempt on grade.run_id = attempt.run_id
    where grade.task_id is null
    union all
    select
        grade.record_key as grade_key,
        grade.human_override,
        attempt.*,
    from grade
    inner join attempt on grade.task_id = attempt.task_id
    where grade.run_id is null
),

counted as (
    select
        *,
        count(*) over (partition by grade_key) as attempts,
    from met
)

select
    grade_key,
    task_id,
    run_id,
    lone_key,
    attempts,
    attempts = 1 or coalesce(human_override = 'rejected', false) as counts,
from counted
