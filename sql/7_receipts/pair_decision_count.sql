-- One row per stage that exports a dataset of pairs, stat and first reason: how many pairs, counted now in this warehouse.
--   stage: export- and the name of the dataset
--   stat: in, accepted, quarantined or skipped
--   reason: the first reason why they are quarantined or skipped; null for in and accepted
--   records: how many pairs
with candidate as (
    select count(*) as records
    from pairs.candidate
)

select
    'export-' || dataset.dataset as stage,
    'in' as stat,
    null::varchar as reason,
    candidate.records,
from policy.dataset as dataset
cross join candidate
where dataset.grain = 'pair'
union all
select
    'export-' || dataset as stage,
    case
        when quarantine_reason is not null then 'quarantined'
        when skip_reason is not null then 'skipped'
        else 'accepted'
    end as stat,
    coalesce(quarantine_reason, skip_reason) as reason,
    count(*) as records,
from datasets.pair_decision
group by all
