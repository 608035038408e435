-- Grades that are among records, or count for one of them; ordered by place. See scored.grade and evidence.record.
--   outcome, attempts: see scored.grade
--   records: the places of the records for which it counts
--   $keys: the record_key of each record
with met as (
    select
        attempt.grade_key,
        other.record_key,
        struct_pack(
            source_path := other.source_path, item_number := other.item_number, record_number := other.record_number
        ) as place,
    from scored.graded_attempt as attempt
    inner join evidence.stored_record as other
        on
            attempt.task_id = other.task_id
            and (attempt.run_id = other.run_id or attempt.lone_key = other.record_key)
    where attempt.counts and other.source_class <> 'grade'
),

graded as (
    select
        grade_key,
        list(place order by place) as places,
        list(record_key) as record_keys,
    from met
    group by grade_key
)

select
    grade.source,
    grade.source_path,
    grade.item_number,
    grade.record_number,
    grade.item_sha256,
    grade.run_id,
    grade.task_id,
    grade.created_at,
    grade.verdict,
    grade.score,
    grade.grounded_fraction,
    grade.infrastructure_error,
    grade.human_override,
    grade.comparison,
    outcome.outcome,
    outcome.attempts,
    coalesce(graded.places, []) as records,
from evidence.stored_record as grade
inner join scored.grade as outcome on grade.record_key = outcome.record_key
left join graded on grade.record_key = graded.grade_key
where
    list_contains($keys, grade.record_key)
    or list_has_any(graded.record_keys, $keys)
order by grade.source_path, grade.item_number, grade.record_number
