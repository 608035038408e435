-- One row per record that is not rejected although another record of its attempt is, or another record of its task that has the
-- same content: it may ship nowhere, and never be chosen. Where a person accepted the record, only a person's rejection counts. A
-- rejection that no person made, and all of whose signals stand in one comparison, counts within that comparison only: to lose one
-- contest is no verdict on the text.
-- key: task_id; scored.shared_content and scored.shared_turn whole.
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
        turn_hash,
        has_conversation,
        rule = 'human_override' as is_by_person,
        decided_in,
        struct_pack(source_path := source_path, item_number := item_number, record_number := record_number) as place,
    from run
    where category = 'rejected'
),

attempt as (
    select
        task_id,
        run_id,
        decided_in,
        min(place) as place,
    from rejected
    where run_id is not null
    group by task_id, run_id, decided_in
),

-- Only a content that several records have can be rejected in one and not in another.
content as (
    select
        rejected.task_id,
        rejected.content_hash,
        rejected.decided_in,
        min(rejected.place) as place,
        min(rejected.place) filter (where rejected.is_by_person) as place_by_person,
    from rejected
    inner join scored.shared_content as shared on rejected.content_hash = shared.content_hash
    group by rejected.task_id, rejected.content_hash, rejected.decided_in
),

turn as (
    select
        rejected.task_id,
        rejected.turn_hash,
        rejected.has_conversation,
        rejected.decided_in,
        min(rejected.place) as place,
        min(rejected.place) filter (where rejected.is_by_person) as place_by_person,
    from rejected
    inner join scored.shared_turn as shared on rejected.turn_hash = shared.turn_hash
    group by rejected.task_id, rejected.turn_hash, rejected.has_conversation, rejected.decided_in
),

of_attempt as (
    select
        run.record_key,
        attempt.place,
    from run
    inner join attempt on run.task_id = attempt.task_id and run.run_id = attempt.run_id
    where run.category <> 'rejected' and (attempt.decided_in is null or attempt.decided_in = run.comparison)
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
    where run.category <> 'rejected' and (content.decided_in is null or content.decided_in = run.comparison)
    union all
    select
        run.record_key,
        case
            when run.rule = 'human_override' and run.category = 'accepted' then turn.place_by_person
            else turn.place
        end as place,
    from run
    inner join turn
        on
            run.task_id = turn.task_id
            and run.turn_hash = turn.turn_hash
            and run.has_conversation <> turn.has_conversation
    where run.category <> 'rejected' and (turn.decided_in is null or turn.decided_in = run.comparison)
)

-- A category that a person gave is that of the whole attempt, so within one no person's word stands against a rejection.
select
    record_key,
    'rejected_attempt' as defect,
    'its attempt is rejected at ' || policy.short_place(min(place).source_path, min(place).item_number) as detail,
from of_attempt
group by record_key
union all
select
    record_key,
    'rejected_content' as defect,
    'its content is rejected at ' || policy.short_place(min(place).source_path, min(place).item_number) as detail,
from of_content
where place is not null
group by record_key
