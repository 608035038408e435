-- Makes the view of all records where an overlay may have changed how their texts are compared: what evidence.record knows of
-- its texts without reading them again is computed anew. The columns are those of evidence.record.
create view evidence.record as
with heard as (
    select
        whole.* exclude (
            prompt_sha256, prompt_hash, prompt_length, response_length, answer_hash, answer_length, is_answer_empty,
            has_unparsed_call, turn_hash, content_hash, tools_sha256
        ),
        policy.normalised(prompt) as normal_prompt,
        policy.normalised(response) as normal_response,
        policy.said(messages, prompt_end, answer_end) as said,
    from evidence.whole_record as whole
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
    hashed.* exclude (normal_prompt, normal_response, said, normal, turn, conversed),
    unnest(policy.content(prompt, turn, conversed, tools)),
from hashed
