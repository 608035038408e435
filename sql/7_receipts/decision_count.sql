-- One row per stage that exports a dataset of records, stat and first reason: how many records, counted now in this warehouse.
--   stage: export- and the name of the dataset
--   stat: in, accepted or quarantined
--   reason: the first reason why the dataset refuses them; null for in and accepted
--   records: how many records
with scored as (
    select count(*) as records
    from scored.run
)

select
    'export-' || dataset.dataset as stage,
    'in' as stat,
    null::varchar as reason,
    scored.records,
from policy.dataset as dataset
cross join scored
where dataset.grain = 'record'
union all
select
    'export-' || dataset as stage,
    case when quarantine_reason is null then 'accepted' else 'quarantined' end as stat,
    quarantine_reason as reason,
    count(*) as records,
from datasets.decision
group by dataset, quarantine_reason
