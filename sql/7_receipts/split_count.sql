-- One row per stage that exports a dataset of records and side of the split: how many rows ship there, counted now in this warehouse.
--   stage: export- and the name of the dataset
--   split: train, validation or test
--   records: how many rows
--   moved: how many of them are of tasks that the version before had on another side, see receipts.moved_task
select
    'export-' || decision.dataset as stage,
    decision.split,
    count(*) as records,
    count(moved.task_id) as moved,
from datasets.decision as decision
inner join scored.run as run on decision.record_key = run.record_key
left join receipts.moved_task as moved on run.task_id = moved.task_id
where decision.quarantine_reason is null
group by decision.dataset, decision.split
