-- One row per run, stage, stat and first reason, as the receipt counts them.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: the stage, see policy.stage
--   stat: rejected, quarantined or skipped
--   reason: the first reason, such as duplicate_id; at score the category
--   records: how many records
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
