-- One row per turn (a prompt and a response that is not blank, as texts are compared) that records with a conversation have, and
-- records without one: a record with and a record without have the same content.
-- key: turn_hash.
--   turn_hash: the turn, see scored.run
--   records: how many records have it
with conversed as ( -- few, or none, and then nothing else is read
    select distinct turn_hash
    from evidence.stored_record
    where answer_end is not null and response_length > 0 and source_class <> 'grade'
)

select
    record.turn_hash,
    count(*) as records,
from evidence.stored_record as record
inner join conversed on record.turn_hash = conversed.turn_hash
where record.source_class <> 'grade'
group by record.turn_hash
having count(record.answer_end) < count(*)
