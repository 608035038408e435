-- One row per run and stage, from its receipt.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: the stage, such as export-sft
--   position: its place in the order of stages, from 1; null: this version has no such stage
--   status: ok, reused (it kept the output of an earlier run), failed or not_run
--   recorded_at: when the receipt was written, UTC
--   git_commit: the commit of the root's repository; null: the root is in none
--   records_in: how many records went in: items at collect, pairs at export-preference
--   records_out: how many records it passed on: all of them at score, else those accepted
--   accepted: how many were accepted; at an export: shipped
--   rejected: how many were rejected
--   quarantined: how many were quarantined
--   skipped: how many were skipped; records_in is the sum of these four
--   blank: how many blank lines were read; they are not part of records_in
--   mapped: how many items have records of their own; null but for collect
--   part: how many items are part of other records; null but for collect, of which mapped and part are those accepted
--   grades: how many grades of attempts score found; null but for score, whose records_in leaves them out
--   inputs_hash: sha256 hex over the paths and hashes of all that it read
--   outputs_hash: sha256 hex over the paths and hashes of all that it wrote
--   passed: whether it passed its validation
--   duration_ms: how long it took until what it wrote was read back, in milliseconds; 0 if it was reused
--   code_hash: sha256 hex over the program: its modules and its SQL with that of the overlay
--   settings_hash: sha256 hex over the settings that can change what the stage makes
--   etl_version: the version of this program
--   duckdb_version: the version of DuckDB
--   python_version: the version of Python
--   made_by: the run that made the output of a reused stage; else null
with document as (
    select
        json_transform(
            json,
            '{
                "run_id": "VARCHAR", "stage": "VARCHAR", "status": "VARCHAR", "timestamp": "VARCHAR", "git_commit": "VARCHAR",
                "inputs": {"record_count": "BIGINT", "hash": "VARCHAR"},
                "outputs": {"record_count": "BIGINT", "hash": "VARCHAR"},
                "stats": {"accepted": "BIGINT", "rejected": "BIGINT", "quarantined": "BIGINT", "skipped": "BIGINT"},
                "blank": "BIGINT", "items": {"mapped": "BIGINT", "part": "BIGINT", "skipped": "BIGINT", "blank": "BIGINT"},
                "grades": {"met": "BIGINT", "ambiguous_grade": "BIGINT", "unmatched_grade": "BIGINT"},
                "validation": {"passed": "BOOLEAN"}, "duration_ms": "BIGINT", "code_hash": "VARCHAR",
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
    document.receipt.items.mapped,
    document.receipt.items.part,
    document.receipt.grades.met + document.receipt.grades.ambiguous_grade + document.receipt.grades.unmatched_grade as grades,
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
