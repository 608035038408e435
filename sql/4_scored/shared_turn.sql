-- One row per turn (a prompt and a response that is not blank, as texts are compared) that records with a conversation have, and
-- records without one: a record with and a record without have the same content.
-- key: turn_hash.
--   turn_hash: the turn, see scored.run
--   records: how many records have it
with run as ( -- named once, so that a plain shell computes it once
    from scored.run
    where not is_response_blank
),

conversed as ( -- few, or none, and then nothing else is read
    select distinct turn_hash
    from run
    where has_conversation
)

select
    run.turn_hash,
    count(*) as records,
from run
inner join conversed on run.turn_hash = conversed.turn_hash
group by run.turn_hash
having not bool_and(run.has_conversation)
