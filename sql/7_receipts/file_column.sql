-- One row per run, stage, Parquet file that the stage wrote and column in it: field is its name and type, such as "id: string".
with document as (
    select
        json_transform(
            json,
            '{
                "run_id": "VARCHAR", "stage": "VARCHAR",
                "outputs": {"files": [{"path": "VARCHAR", "columns": ["VARCHAR"]}]}
            }'
        ) as receipt,
    from raw.document
    where not ends_with(path, '/summary.json')
),

written as (
    select
        receipt.run_id,
        receipt.stage,
        unnest(receipt.outputs.files) as file,
    from document
)

select
    run_id,
    stage,
    file.path,
    generate_subscripts(file.columns, 1)::integer as position,
    unnest(file.columns) as field,
from written
