-- One row per run, stage that was done and counter, over all runs: how many records, out of how many (null for a volume, which
-- stands for itself), and the share. In the order of seq this is the course of each figure.
select
    amount.run_id,
    run.seq,
    run.published,
    amount.stage,
    amount.position,
    amount.kind,
    amount.stat,
    amount.counter,
    amount.records,
    case when amount.kind not in ('source', 'volume') then amount.exposure end as records_in,
    case when amount.kind not in ('source', 'volume') then amount.records / nullif(amount.exposure, 0) end as share,
from drift.amount as amount
inner join receipts.run as run on amount.run_id = run.run_id
