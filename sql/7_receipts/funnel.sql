-- One row per run and stage, newest run first: the way of the records from evidence to datasets.
select
    run.seq,
    run.run_id,
    stage.stage,
    stage.status,
    stage.records_in,
    stage.accepted,
    stage.rejected,
    stage.quarantined,
    stage.skipped,
    round(100.0 * stage.accepted / nullif(stage.records_in, 0), 1) as accepted_percent,
    stage.passed,
from receipts.run as run
inner join receipts.stage as stage on run.run_id = stage.run_id
order by run.seq desc, stage.position asc
