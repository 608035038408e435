-- One row per run: the run it is compared with (the highest earlier seq that published; null for a first run).
select
    run.run_id,
    run.seq,
    max_by(prior.run_id, prior.seq) as prior_run_id,
from receipts.run as run
left join receipts.run as prior on prior.seq < run.seq and prior.published
group by run.run_id, run.seq
