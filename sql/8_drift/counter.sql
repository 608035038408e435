-- One row per run, stage and counter (the five stats, and at the score stage the categories): its value before and now.
-- Only stages that were done in both runs are compared.
with done as (
    select *
    from receipts.stage
    where status in ('ok', 'reused')
),

stat as (
    unpivot done
    on records_in, accepted, rejected, quarantined, skipped
    into name counter value records
),

tally as (
    select
        run_id,
        stage,
        counter,
        records,
    from stat
    union all
    select
        run_id,
        stage,
        reason as counter,
        records,
    from receipts.reason
    where stage = 'score' and reason <> 'rejected'
),

paired as (
    select
        baseline.run_id,
        baseline.prior_run_id,
        present.stage,
        present.position,
    from drift.baseline as baseline
    inner join done as present on baseline.run_id = present.run_id
    inner join done as past on baseline.prior_run_id = past.run_id and present.stage = past.stage
),

counter_name as (
    select distinct
        stage,
        counter,
    from tally
)

select
    paired.run_id,
    paired.stage,
    paired.position,
    counter_name.counter,
    coalesce(past.records, 0) as prior_records,
    coalesce(present.records, 0) as records,
    round(100.0 * (coalesce(present.records, 0) - past.records) / nullif(past.records, 0), 1) as pct_change,
from paired
inner join counter_name on paired.stage = counter_name.stage
left join tally as past
    on paired.prior_run_id = past.run_id and paired.stage = past.stage and counter_name.counter = past.counter
left join tally as present
    on paired.run_id = present.run_id and paired.stage = present.stage and counter_name.counter = present.counter
