-- One row per run, stage that exports pairs and outcome of a record at the pairing: the second book of its receipt.
with document as (
    select
        json_transform(
            json, '{"run_id": "VARCHAR", "stage": "VARCHAR", "records": {"by_outcome": "JSON"}}'
        ) as receipt,
    from raw.document
    where not ends_with(path, '/summary.json')
),

of_outcome as (
    select
        receipt.run_id,
        receipt.stage,
        unnest(map_entries(receipt.records.by_outcome::map (varchar, bigint))) as outcome,
    from document
)

select
    run_id,
    stage,
    outcome.key as outcome,
    outcome.value as records,
from of_outcome
