-- One row per run: the run that it is compared with. That is the pinned run (policy.baseline) if that is an earlier
-- run that published, else the newest earlier run that published.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   seq: the number of the run in this root, from 1
--   prior_run_id: the run that it is compared with; null: no earlier run published
with pinned as (
    select
        run.run_id,
        run.seq,
    from policy.baseline as baseline
    inner join receipts.run as run on baseline.run_id = run.run_id
    where run.published
),

followed as (
    select
        run_id,
        seq,
        last_value(case when published then run_id end ignore nulls) over (
            order by seq
            range between unbounded preceding and 1 preceding
        ) as previous_run_id,
    from receipts.run
)

select
    followed.run_id,
    followed.seq,
    coalesce(pinned.run_id, followed.previous_run_id) as prior_run_id,
from followed
left join pinned on followed.seq > pinned.seq
