-- Makes the view of each record's category where files of an overlay decide it: the category that they give, unless a person
-- gave one. What a person last said of an attempt holds whatever an overlay does. It stands for the product's own scored.run.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   run_id, task_id: the attempt and the task
--   content_hash: the content of the record, as texts are compared
--   category: accepted, partially_accepted, rejected or needs_human_review
--   rule: human_override where a person gave the category; else overlay
create view scored.run as
select
    record.record_key,
    record.run_id,
    record.task_id,
    record.turn_hash as content_hash,
    coalesce(attempt.category, record.human_override, decided.category) as category,
    case
        when coalesce(attempt.category, record.human_override) is not null then 'human_override'
        else 'overlay'
    end as rule,
from evidence.record as record
inner join scored.decided as decided on record.record_key = decided.record_key
left join scored.attempt_override as attempt on record.task_id = attempt.task_id and record.run_id = attempt.run_id
