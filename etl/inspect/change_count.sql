-- How many rows of each dataset two runs treat differently, in which way and for which cause; see receipts.row_change.
--   dataset, change, cause: as there
--   rows: how many
--   $from_run, $to_run: the ids of both runs
select
    dataset,
    change,
    cause,
    count(*) as rows,
from receipts.row_change
where from_run_id = $from_run and to_run_id = $to_run
group by dataset, change, cause
order by dataset, change, cause
