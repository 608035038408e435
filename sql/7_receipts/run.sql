-- One row per run, failed ones too, from its summary.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   seq: the number of the run in this root, from 1
--   previous: sha256 hex of the summary.json of the run before it; null for the first run
--   started_at: when it started, UTC
--   published: whether it published what it made
--   overall_passed: whether it published and every stage passed its validation
--   run_hash: sha256 hex over the input and output hashes of all stages; equal for runs that read and made the same
--   summary_sha256: sha256 hex of its own summary.json
with document as (
    select
        sha256(json) as summary_sha256,
        json_transform(
            json,
            '{
                "run_id": "VARCHAR", "seq": "BIGINT", "previous": "VARCHAR", "started_at": "VARCHAR",
                "published": "BOOLEAN", "overall_passed": "BOOLEAN", "run_hash": "VARCHAR"
            }'
        ) as summary,
    from raw.document
    where ends_with(path, '/summary.json')
)

select
    summary.run_id,
    summary.seq,
    summary.previous,
    rtrim(summary.started_at, 'Z')::timestamp as started_at,
    summary.published,
    summary.overall_passed,
    summary.run_hash,
    summary_sha256,
from document
