-- One row per stage that exports a dataset of pairs, stat and first reason: how many pairs, as they are now. stat is in, accepted,
-- quarantined or skipped.
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
