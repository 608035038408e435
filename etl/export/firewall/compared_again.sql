-- Makes the view of all records where an overlay may have changed how their texts are compared: what evidence.record knows of
-- its texts without reading them again is computed anew. The columns are those of evidence.record.
create view evidence.record as
with normal as (
    select
        stored.* exclude (
            prompt_sha256, prompt_hash, prompt_length, response_length, answer_hash, answer_length, is_answer_empty,
            has_unparsed_call, turn_hash, content_hash, tools_sha256
        ),
        policy.normalised(prompt) as normal_prompt,
        policy.normalised(response) as normal_response,
        policy.texts_of_conversation(
            policy.prompt_messages(messages, prompt_end),
            policy.messages(policy.prompt_messages(messages, prompt_end)),
            policy.messages(policy.answer_messages(messages, prompt_end, answer_end))
        ) as texts,
    from evidence.stored as stored
)

select
    normal.* exclude (normal_prompt, normal_response, texts),
    unnest(policy.content(prompt, normal_prompt, normal_response, tools, texts)),
from normal
