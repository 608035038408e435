-- One row per run, stage and file or relation that the stage read or wrote.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: the stage, see policy.stage
--   direction: input (read) or output (written)
--   path: of an input file under the evidence folder; of an output file under the root; or the name of a relation
--   sha256: sha256 hex of the file's bytes, or of the relation's rows; null: the file could not be read
--   bytes: the size of the file; null for a relation, and for a file that could not be read
--   record_count: how many records it holds
--   carried: whether the hash is an earlier run's, because the file system says that nobody touched the file since
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
