-- Makes the table of what the re-read knows of each record: its category, computed anew, and whether its attempt or its content is
-- rejected in another record, without the view that should have found it. It is narrow, because it holds all records, and is made
-- once for all datasets. The hashes are the engine's, of 64 bits: only this process compares them.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   category: accepted, partially_accepted, rejected or needs_human_review
--   rejected: attempt or content where that is rejected in another record; null: in none, or a person accepted this one and no
--       person rejected the other
create table main.judged as
with judged as materialized (
    select
        run.record_key,
        run.category,
        run.rule = 'human_override' as is_by_person,
        -- without a run the record is an attempt by itself
        case when run.run_id is not null then hash(run.task_id, run.run_id) end as attempt,
        hash(run.task_id, run.content_hash) as content,
    from scored.run as run
),

rejected as (
    select
        attempt,
        content,
        is_by_person,
    from judged
    where category = 'rejected'
),

rejected_attempt as (
    select
        attempt,
        bool_or(is_by_person) as is_by_person,
    from rejected
    where attempt is not null
    group by attempt
),

rejected_content as (
    select
        content,
        bool_or(is_by_person) as is_by_person,
    from rejected
    group by content
)

select
    judged.record_key,
    judged.category,
    case
        when judged.category = 'rejected' then null
        when attempt.is_by_person then 'attempt'
        when content.is_by_person then 'content'
        -- a person's acceptance of the record itself outweighs what no person rejected
        when judged.category = 'accepted' and judged.is_by_person then null
        when attempt.attempt is not null then 'attempt'
        when content.content is not null then 'content'
    end as rejected,
from judged
left join rejected_attempt as attempt on judged.attempt = attempt.attempt
left join rejected_content as content on judged.content = content.content
