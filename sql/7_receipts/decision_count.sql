-- One row per stage that exports a dataset of records, stat and first reason: how many records, as they are now. stat is in,
-- accepted or quarantined.
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
