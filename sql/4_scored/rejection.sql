-- One row per record that is not rejected although another record of its attempt is, or another record of its task that has the
-- same content: it may ship nowhere, and never be chosen. Where a person accepted the record, only a person's rejection counts.
-- key: task_id; scored.shared_content whole.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   defect: rejected_attempt (another record of its attempt is rejected) or rejected_content (its content is, for its task)
--   detail: the place of the first record that is rejected
with run as ( -- named once, so that a plain shell computes it once
    from scored.run
),

rejected as (
    select
        task_id,
        run_id,
        content_hash,
        rule = 'human_override' as is_by_person,
        struct_pack(source_path := source_path, item_number := item_number, record_number := record_number) as place,
    from run
    where category = 'rejected'
),

attempt as (
    select
        task_id,
        run_id,
        min(place) as place,
    from rejected
    where run_id is not null
    group by task_id, run_id
),

-- only a content that several records have can be rejected in one and not in another
content as (
    select
        rejected.task_id,
        rejected.content_hash,
        min(rejected.place) as place,
        min(rejected.place) filter (where rejected.is_by_person) as place_by_person,
    from rejected
    inner join scored.shared_content as shared on rejected.content_hash = shared.content_hash
    group by rejected.task_id, rejected.content_hash
),

of_content as (
    select
        run.record_key,
        case
            when run.rule = 'human_override' and run.category = 'accepted' then content.place_by_person
            else content.place
        end as place,
    from run
    inner join content on run.task_id = content.task_id and run.content_hash = content.content_hash
    where run.category <> 'rejected'
)

-- a category that a person gave is that of the whole attempt, so within one no person's word stands against a rejection
select
    run.record_key,
    'rejected_attempt' as defect,
    'its attempt is rejected at ' || policy.short_place(attempt.place.source_path, attempt.place.item_number) as detail,
from run
inner join attempt on run.task_id = attempt.task_id and run.run_id = attempt.run_id
where run.category <> 'rejected'
union all
select
    record_key,
    'rejected_content' as defect,
    'its content is rejected at ' || policy.short_place(place.source_path, place.item_number) as detail,
from of_content
where place is not null
