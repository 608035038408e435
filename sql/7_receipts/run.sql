-- One row per run, failed ones too, as its summary tells it. seq counts the runs of this root; summary_sha256 is the hash of its
-- summary.json, previous that of the run before it.
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
