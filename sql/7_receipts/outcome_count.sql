-- One row per stage that exports pairs and outcome of records at the pairing, counted now in this warehouse.
--   stage: export- and the name of a dataset of pairs
--   outcome: what pairing did with the records, see pairs.record
--   records: how many records; together all of scored.run
select
    'export-' || dataset.dataset as stage,
    record.outcome,
    count(*) as records,
from pairs.record as record
inner join policy.dataset as dataset on dataset.grain = 'pair'
group by dataset.dataset, record.outcome
