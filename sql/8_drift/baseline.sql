-- One row per run: the run it is compared with (the highest earlier seq that published; null for a first run).
select
    run.run_id,
    run.seq,
    max_by(past.run_id, past.seq) as prior_run_id,
from receipts.run as run
left join receipts.run as past on run.seq > past.seq and past.published
group by run.run_id, run.seq
