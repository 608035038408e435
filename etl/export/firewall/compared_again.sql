-- Makes the view of all records where an overlay may have changed how their texts are compared: what evidence.record knows of
-- its texts without reading them again is computed anew. The columns are those of evidence.record.
create view evidence.record as
with normal as (
    select
        stored.* exclude (prompt_sha256, prompt_hash, prompt_length, response_hash, response_length, turn_hash),
        policy.normalised(prompt) as normal_prompt,
        policy.normalised(response) as normal_response,
    from evidence.stored as stored
)

select
    normal.* exclude (normal_prompt, normal_response),
    unnest(policy.content(prompt, normal_prompt, normal_response)),
from normal
