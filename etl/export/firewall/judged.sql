-- Makes the table of what the re-read knows of each record: its category, computed anew. It is narrow, because it holds all
-- records. The hashes are the engine's, of 64 bits: only this process compares them.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   category: accepted, partially_accepted, rejected or needs_human_review
--   is_by_person: whether a person gave it
--   attempt: a hash of the task and the run; null: the record names no run, and is an attempt by itself
--   content: a hash of the task and the content, as texts are compared
create table main.judged as
select
    run.record_key,
    run.category,
    run.rule = 'human_override' as is_by_person,
    case when run.run_id is not null then hash(run.task_id, run.run_id) end as attempt,
    hash(run.task_id, run.content_hash) as content,
from scored.run as run
