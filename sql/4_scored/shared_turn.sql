-- One row per turn (a prompt and a response that is not blank, as texts are compared) that records with a conversation have, and
-- records without one: a record with and a record without have the same content.
-- key: turn_hash.
--   turn_hash: the turn, see scored.run
--   records: how many records have it
with conversed as ( -- named once, so that where no record has a conversation nothing else is read
    select distinct turn_hash
    from scored.run
    where has_conversation and not is_response_blank
)

select
    run.turn_hash,
    count(*) as records,
from scored.run as run
inner join conversed on run.turn_hash = conversed.turn_hash
group by run.turn_hash
having not bool_and(run.has_conversation)
