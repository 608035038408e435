-- Every id that begins in one way.
--   $prefix: how it begins
select distinct id
from (
    select id from datasets.decision
    union all
    select id from datasets.pair_decision
    union all
    select evidence_id as id from evidence.record
    union all
    select line_sha256 as id from evidence.record
    union all
    select line_sha256 as id from evidence.skipped
) as known
where starts_with(id, $prefix)
