-- What pairing did with records; see pairs.record. A statement of its own: in one plan with the decisions of datasets it takes the
-- engine several times as long.
--   $keys: the record_key of each record
select
    record.record_key,
    pairing.outcome as pairing_outcome,
from pairs.record as pairing
inner join evidence.stored_record as record
    on
        pairing.source_path = record.source_path
        and pairing.item_number = record.item_number
        and pairing.record_number = record.record_number
where list_contains($keys, record.record_key)
