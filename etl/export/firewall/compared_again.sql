-- Makes main.compared_record, which stands for evidence.stored_record where an overlay may have changed how texts are compared: what
-- that table knows of the texts is computed anew, once. Its columns are those of the table, read as main.whole_record.
create table main.compared as
with heard as (
    select
        record_key,
        prompt,
        tools,
        policy.normalised(prompt) as normal_prompt,
        policy.normalised(response) as normal_response,
        policy.said(messages, prompt_end, answer_end) as said,
    from evidence.record
),

normalised as (
    select
        *,
        policy.normal_said(said) as normal,
    from heard
),

hashed as (
    select
        *,
        policy.turn(normal_prompt, normal_response) as turn,
        policy.conversed(said, normal) as conversed,
    from normalised
)

select
    record_key,
    unnest(policy.content(prompt, turn, conversed, tools)),
from hashed;

create view main.compared_record as
select
    whole.* exclude (
        prompt_sha256, prompt_hash, prompt_length, response_length, answer_hash, answer_length, is_answer_empty,
        has_unparsed_call, turn_hash, content_hash, tools_sha256
    ),
    compared.* exclude (record_key),
from main.whole_record as whole
inner join main.compared as compared on whole.record_key = compared.record_key
