-- Every id that begins in one way; none for what is hardly the beginning of an id: it has eight digits at least.
--   $prefix: how it begins
select distinct id
from (
    select id from datasets.decision
    union all
    select id from datasets.pair_decision
    union all
    select evidence_id as id from evidence.stored_record
    union all
    select item_sha256 as id from evidence.stored_record
    union all
    select item_sha256 as id from evidence.skipped
) as known
where regexp_full_match($prefix, '[0-9a-f]{8,63}') and starts_with(id, $prefix)
