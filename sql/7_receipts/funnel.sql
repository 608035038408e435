-- One row per run and stage, newest run first: how many records each stage took in and shipped.
--   seq: the number of the run in this root, from 1
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: the stage, see policy.stage
--   status: ok, reused, failed or not_run, see receipts.stage
--   records_in: how many records went in
--   accepted: how many were accepted; at an export: shipped
--   rejected: how many were rejected; only score rejects
--   quarantined: how many were quarantined; at score: partially accepted, or in need of human review
--   skipped: how many were skipped: items at collect, pairs over the cap at export-preference
--   accepted_percent: accepted as a percentage of records_in; null: nothing went in
--   passed: whether the stage passed its validation
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
