-- One row per run, stage that was done and counter, over all runs. Ordered by seq, it shows how each figure changed over time.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   seq: the number of the run in this root, from 1
--   published: whether the run published
--   stage: the stage, see policy.stage
--   position: the place of the stage in the order of stages, from 1
--   kind: source (the records of a source), volume (the records of all sources), pairs (the candidate pairs), category, reason
--       or accepted
--   stat: the count of the stage that the figure belongs to: records_in, accepted, rejected, quarantined or skipped
--   counter: what is counted: a source, category or reason; or "records in", "pairs in", accepted
--   records: the count
--   records_in: out of how many records it was counted; null for a volume
--   share: records / records_in; null for a volume, or where nothing went in
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
