-- Makes the view of all records where an overlay may have changed how their texts are compared: what evidence.record knows of
-- its texts without reading them again is computed anew. The columns are those of evidence.record.
create view evidence.record as
select
    stored.* exclude (prompt_sha256, prompt_hash, prompt_length, response_hash, response_length, turn_hash),
    unnest(policy.content(stored.prompt, stored.response)),
from evidence.stored as stored
