-- One row per run, stage that was done and counter, over all runs: how many records, out of how many (null for a volume, which
-- stands for itself), and the share. In the order of seq this is the course of each figure.
select
    metric.run_id,
    run.seq,
    run.published,
    metric.stage,
    metric.position,
    metric.kind,
    metric.stat,
    metric.counter,
    metric.records,
    case when metric.kind not in ('source', 'volume') then metric.exposure end as records_in,
    case when metric.kind not in ('source', 'volume') then metric.records / nullif(metric.exposure, 0) end as share,
from drift.metric as metric
inner join receipts.run as run on metric.run_id = run.run_id
