-- One row per run, stage and file or relation that the stage read (direction input) or wrote (output). bytes is null for a
-- relation; carried says that its hash is an earlier run's.
with document as (
    select
        json_transform(
            json,
            '{
                "run_id": "VARCHAR", "stage": "VARCHAR",
                "inputs": {"files": [{
                    "path": "VARCHAR", "sha256": "VARCHAR", "bytes": "BIGINT", "record_count": "BIGINT", "carried": "BOOLEAN"
                }]},
                "outputs": {"files": [{
                    "path": "VARCHAR", "sha256": "VARCHAR", "bytes": "BIGINT", "record_count": "BIGINT", "carried": "BOOLEAN"
                }]}
            }'
        ) as receipt,
    from raw.document
    where not ends_with(path, '/summary.json')
),

entry as (
    select
        receipt.run_id,
        receipt.stage,
        'input' as direction,
        unnest(receipt.inputs.files) as file,
    from document
    union all
    select
        receipt.run_id,
        receipt.stage,
        'output' as direction,
        unnest(receipt.outputs.files) as file,
    from document
)

select
    run_id,
    stage,
    direction,
    file.path,
    file.sha256,
    file.bytes,
    file.record_count,
    file.carried,
from entry
