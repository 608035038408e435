-- The first rows, by id, of each kind of change between two runs; see receipts.row_change, whose columns these are.
--   $from_run, $to_run: the ids of both runs
--   $size: how many rows of each kind
select
    dataset,
    change,
    cause,
    id,
    source_path,
    item_number,
    record_number,
    source_path_before,
    item_number_before,
    category_before,
    category_now,
    reason_before,
    reason_now,
from receipts.row_change
where from_run_id = $from_run and to_run_id = $to_run
qualify row_number() over (partition by dataset, change, cause order by id, source_path, item_number, record_number) <= $size
order by all
