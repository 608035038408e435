-- The hash of a run's summary; no row where the run is unknown.
--   previous: as the next run recorded it; null: there is no next run
--   summary_sha256: as the summary was read
--   $run: the id of the run
select
    next.previous,
    run.summary_sha256,
from receipts.run as run
left join receipts.run as next on run.seq + 1 = next.seq
where run.run_id = $run
