-- One row per stage: how many rows went in and what became of them, as the relations of this warehouse have it now.
-- Law: records_in = accepted + rejected + quarantined + skipped; blank lines are counted beside them.
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
