-- Makes the view of each record's category where files of an overlay decide it: the category that they give, unless a person
-- gave one. What a person last said of an attempt holds whatever an overlay does. It stands for the product's own scored.run.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   source_path, item_number, record_number: the place of the record
--   run_id, task_id: the attempt and the task
--   content_hash, turn_hash, has_conversation, is_response_blank: the content of the record, as texts are compared
--   category: accepted, partially_accepted, rejected or needs_human_review
--   rule: human_override where a person gave the category; else overlay
--   comparison, decided_in: as the overlay gives them; decided_in is null where a person gave the category
create view scored.run as
select
    record.record_key,
    record.source_path,
    record.item_number,
    record.record_number,
    record.run_id,
    record.task_id,
    record.content_hash,
    record.turn_hash,
    record.answer_end is not null as has_conversation,
    record.response_length = 0 as is_response_blank,
    coalesce(attempt.category, given.category) as category,
    case when attempt.category is not null then 'human_override' else 'overlay' end as rule,
    given.comparison,
    case when attempt.category is null then given.decided_in end as decided_in,
from evidence.stored_record as record
inner join main.given_run as given on record.record_key = given.record_key
left join scored.attempt_override as attempt
    on
        record.task_id = attempt.task_id
        and record.run_id is not distinct from attempt.run_id
        and case when record.run_id is null then record.record_key end is not distinct from attempt.lone_key
where record.source_class <> 'grade'
