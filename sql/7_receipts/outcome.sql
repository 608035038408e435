-- One row per run, stage that exports pairs and outcome of records at the pairing, as the receipt counts them.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: export- and the name of a dataset of pairs
--   outcome: what pairing did with the records, see pairs.record
--   records: how many records; together all that were scored
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
