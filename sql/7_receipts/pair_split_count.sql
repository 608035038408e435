-- One row per stage that exports a dataset of pairs and side of the split: how many rows ship there, counted now in this warehouse.
--   stage: export- and the name of the dataset
--   split: train, validation or test
--   records: how many rows
--   moved: how many of them are of tasks that the version before had on another side, see receipts.moved_task
select
    'export-' || decision.dataset as stage,
    decision.split,
    count(*) as records,
    count(moved.task_id) as moved,
from datasets.pair_decision as decision
left join receipts.moved_task as moved on decision.task_id = moved.task_id
where decision.quarantine_reason is null and decision.skip_reason is null
group by decision.dataset, decision.split
