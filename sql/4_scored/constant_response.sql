-- One row per response that answers more than max_prompts_per_response different prompts, as texts are compared: whatever was
-- asked, some program said the same. Only responses of 32 characters or more count, since short ones recur for good reasons.
-- key: response_hash.
--   response_hash: the response, see evidence.record
--   prompts: how many different prompts it answers
with frequent as ( -- few; to count records first is cheaper than to count the prompts of all
    select record.response_hash
    from evidence.record as record
    where record.response_length >= 32
    group by record.response_hash
    having count(*) > (select setting.max_prompts_per_response from policy.setting as setting)
)

select
    record.response_hash,
    count(distinct record.prompt_hash) as prompts,
from evidence.record as record
inner join frequent on record.response_hash = frequent.response_hash
group by record.response_hash
having count(distinct record.prompt_hash) > (select setting.max_prompts_per_response from policy.setting as setting)
