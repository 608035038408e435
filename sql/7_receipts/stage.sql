-- One row per run and stage: its receipt. status is ok, reused, failed or not_run; made_by is the run whose output a reused stage
-- carries. position orders the stages.
with document as (
    select
        json_transform(
            json,
            '{
                "run_id": "VARCHAR", "stage": "VARCHAR", "status": "VARCHAR", "timestamp": "VARCHAR", "git_commit": "VARCHAR",
                "inputs": {"record_count": "BIGINT", "hash": "VARCHAR"},
                "outputs": {"record_count": "BIGINT", "hash": "VARCHAR"},
                "stats": {"accepted": "BIGINT", "rejected": "BIGINT", "quarantined": "BIGINT", "skipped": "BIGINT"},
                "blank": "BIGINT", "validation": {"passed": "BOOLEAN"}, "duration_ms": "BIGINT", "code_hash": "VARCHAR",
                "settings_hash": "VARCHAR", "engine": {"etl": "VARCHAR", "duckdb": "VARCHAR", "python": "VARCHAR"},
                "made_by": "VARCHAR"
            }'
        ) as receipt,
    from raw.document
    where not ends_with(path, '/summary.json')
)

select
    document.receipt.run_id,
    document.receipt.stage,
    stage.position,
    document.receipt.status,
    rtrim(document.receipt.timestamp, 'Z')::timestamp as recorded_at,
    document.receipt.git_commit,
    document.receipt.inputs.record_count as records_in,
    document.receipt.outputs.record_count as records_out,
    document.receipt.stats.accepted,
    document.receipt.stats.rejected,
    document.receipt.stats.quarantined,
    document.receipt.stats.skipped,
    document.receipt.blank,
    document.receipt.inputs.hash as inputs_hash,
    document.receipt.outputs.hash as outputs_hash,
    document.receipt.validation.passed,
    document.receipt.duration_ms,
    document.receipt.code_hash,
    document.receipt.settings_hash,
    document.receipt.engine.etl as etl_version,
    document.receipt.engine.duckdb as duckdb_version,
    document.receipt.engine.python as python_version,
    document.receipt.made_by,
from document
left join policy.stage as stage on document.receipt.stage = stage.stage
