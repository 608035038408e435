-- One row per answer that answers more than max_prompts_per_response different prompts, as texts are compared: whatever was asked,
-- some program said the same. Only answers of 32 characters or more count, since short ones recur for good reasons.
-- key: answer_hash.
--   answer_hash: the answer, see evidence.record
--   prompts: how many different prompts it answers
with frequent as ( -- few; to count records first is cheaper than to count the prompts of all
    select record.answer_hash
    from evidence.stored_record as record
    where record.answer_length >= 32 and record.source_class <> 'grade'
    group by record.answer_hash
    having count(*) > (select setting.max_prompts_per_response from policy.setting as setting)
)

select
    record.answer_hash,
    count(distinct record.prompt_hash) as prompts,
from evidence.stored_record as record
inner join frequent on record.answer_hash = frequent.answer_hash
where record.source_class <> 'grade'
group by record.answer_hash
having count(distinct record.prompt_hash) > (select setting.max_prompts_per_response from policy.setting as setting)
