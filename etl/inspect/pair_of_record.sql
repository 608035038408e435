-- The candidate pairs that records are a side of, and what became of them: a row for each record and pair.
--   record_key: the record
--   dataset: the dataset of pairs
--   id: the id of the pair
--   outcome: exported, quarantined or over_cap
--   quarantine_reasons: all reasons why it is quarantined, in the order of policy.reason; empty: it is not
--   $keys: the record_key of each record
with side as (
    select
        unnest([chosen_key, rejected_key]) as record_key,
        dataset,
        id,
        case when quarantine_reason is not null then 'quarantined' else coalesce(skip_reason, 'exported') end as outcome,
        quarantine_reasons,
    from datasets.pair_decision
    where list_contains($keys, chosen_key) or list_contains($keys, rejected_key)
)

select *
from side
where list_contains($keys, record_key)
order by record_key, dataset, id
