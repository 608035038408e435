-- One row per run, stage, stat (rejected, quarantined, skipped) and first reason: how many records it set aside. At the score
-- stage the reason is the category.
with document as (
    select json_transform(json, '{"run_id": "VARCHAR", "stage": "VARCHAR", "counts_by_reason": "JSON"}') as receipt
    from raw.document
    where not ends_with(path, '/summary.json')
),

of_stat as (
    select
        receipt.run_id,
        receipt.stage,
        unnest(map_entries(receipt.counts_by_reason::map (varchar, map (varchar, bigint)))) as stat,
    from document
),

of_reason as (
    select
        run_id,
        stage,
        stat.key as stat,
        unnest(map_entries(stat.value)) as reason,
    from of_stat
)

select
    run_id,
    stage,
    stat,
    reason.key as reason,
    reason.value as records,
from of_reason
