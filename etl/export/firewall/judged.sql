-- Makes the table of what the re-read knows of each record: its category, computed anew, and whether its attempt or its content is
-- rejected in another record, without the view that should have found it. It is narrow, because it holds all records, and is made
-- once for all datasets. The hashes are the engine's, of 64 bits: only this process compares them.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   place: a hash of the place of the record: file, item number and record number
--   category: accepted, partially_accepted, rejected or needs_human_review
--   comparison: the one in which its score and its category stand; null: they compare within the task
--   task_group: a hash of its group of tasks, which no split may divide
--   is_reserved: whether a task or a prompt of that group is held out
--   rejected: attempt or content where that is rejected in another record; null: in none, or a person accepted this one and no
--       person rejected the other, or that is a rejection within another comparison
create table main.judged as
with judged as materialized (
    select
        run.record_key,
        hash(run.source_path, run.item_number, run.record_number) as place,
        run.category,
        run.rule = 'human_override' as is_by_person,
        run.comparison,
        run.decided_in,
        hash(task_group.group_hash) as task_group,
        task_group.holdout_line is not null as is_reserved,
        -- without a run the record is an attempt by itself
        case when run.run_id is not null then hash('attempt', run.task_id, run.run_id) end as attempt,
        hash('content', run.task_id, run.content_hash) as content,
        -- a conversation and a text can have the same content too, by their turn
        case when not run.is_response_blank then hash('turn', run.task_id, run.turn_hash, run.has_conversation) end as turn,
        case when not run.is_response_blank then hash('turn', run.task_id, run.turn_hash, not run.has_conversation) end
            as other_turn,
    from scored.run as run
    left join scored.task_group as task_group on run.task_id = task_group.task_id
),

-- What is rejected, everywhere or within one comparison.
rejected as (
    select
        hash(what, decided_in) as what,
        bool_or(is_by_person) as is_by_person,
    from (
        select
            unnest([attempt, content, turn]) as what,
            decided_in,
            is_by_person,
        from judged
        where category = 'rejected'
    ) as named
    where what is not null
    group by hash(what, decided_in)
)

select
    judged.record_key,
    judged.place,
    judged.category,
    judged.comparison,
    judged.task_group,
    judged.is_reserved,
    case
        when judged.category = 'rejected' then null
        when attempt.is_by_person then 'attempt'
        when content.is_by_person or turn.is_by_person then 'content'
        -- a person's acceptance of the record itself outweighs what no person rejected
        when judged.category = 'accepted' and judged.is_by_person then null
        when attempt.what is not null or attempt_there.what is not null then 'attempt'
        when coalesce(content.what, content_there.what, turn.what, turn_there.what) is not null then 'content'
    end as rejected,
from judged
left join rejected as attempt on hash(judged.attempt, null::varchar) = attempt.what and judged.attempt is not null
left join rejected as content on hash(judged.content, null::varchar) = content.what
left join rejected as turn on hash(judged.other_turn, null::varchar) = turn.what and judged.other_turn is not null
left join rejected as attempt_there
    on
        hash(judged.attempt, judged.comparison) = attempt_there.what
        and judged.attempt is not null
        and judged.comparison is not null
left join rejected as content_there
    on hash(judged.content, judged.comparison) = content_there.what and judged.comparison is not null
left join rejected as turn_there
    on
        hash(judged.other_turn, judged.comparison) = turn_there.what
        and judged.other_turn is not null
        and judged.comparison is not null;

-- On which sides of the split the groups of tasks are, in all datasets that were written.
--   task_group: see main.judged
--   split: train, validation or test
--   id: the id of a row that says so
create table main.written_split (task_group ubigint, split varchar, id varchar)
