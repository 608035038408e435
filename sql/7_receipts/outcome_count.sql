-- One row per stage that exports pairs and outcome of a record at the pairing: its second book; the records sum to scored.run.
select
    'export-' || dataset.dataset as stage,
    record.outcome,
    count(*) as records,
from pairs.record as record
inner join policy.dataset as dataset on dataset.grain = 'pair'
group by dataset.dataset, record.outcome
