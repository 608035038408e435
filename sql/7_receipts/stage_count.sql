-- One row per stage: how many records went in and what became of them, counted now in this warehouse.
-- records_in = accepted + rejected + quarantined + skipped holds for every stage.
--   stage: the stage, see policy.stage
--   records_in: how many records went in: items at collect, pairs at export-preference
--   accepted: how many were accepted; at an export: shipped
--   rejected: how many were rejected
--   quarantined: how many were quarantined
--   skipped: how many were skipped
--   blank: how many blank lines collect read; they are not part of records_in
select
    stage.stage,
    coalesce(sum(counted.records) filter (where counted.stat = 'in'), 0)::bigint as records_in,
    coalesce(sum(counted.records) filter (where counted.stat = 'accepted'), 0)::bigint as accepted,
    coalesce(sum(counted.records) filter (where counted.stat = 'rejected'), 0)::bigint as rejected,
    coalesce(sum(counted.records) filter (where counted.stat = 'quarantined'), 0)::bigint as quarantined,
    coalesce(sum(counted.records) filter (where counted.stat = 'skipped'), 0)::bigint as skipped,
    coalesce(sum(counted.records) filter (where counted.stat = 'blank'), 0)::bigint as blank,
from policy.stage as stage
left join receipts.reason_count as counted on stage.stage = counted.stage
group by stage.position, stage.stage
order by stage.position
