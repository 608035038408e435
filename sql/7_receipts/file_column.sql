-- One row per run, stage, Parquet file that the stage wrote and column of that file. The parts of a dataset are one file here.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: the stage, see policy.stage
--   path: the file, relative to the root; of a dataset in parts their folder
--   position: the place of the column in the file, from 1
--   field: the column's name and type, such as "id: string"
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

select distinct
    run_id,
    stage,
    regexp_replace(file.path, '/part-[0-9]+[.]parquet$', '') as path,
    generate_subscripts(file.columns, 1)::integer as position,
    unnest(file.columns) as field,
from written
