-- Each stage's most recent run, in the order of the stages: the columns of the table in latest.md.
select
    stage.stage,
    stage.run_id,
    stage.status,
    stage.recorded_at::varchar as recorded_at,
    stage.records_in,
    stage.accepted,
    stage.rejected,
    stage.quarantined,
    stage.skipped,
    case when stage.passed then 'yes' else 'no' end as passed,
from receipts.stage as stage
inner join receipts.run as run on stage.run_id = run.run_id
where stage.status <> 'not_run'
qualify row_number() over (partition by stage.stage order by run.seq desc) = 1
order by stage.position
