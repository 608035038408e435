-- One row per record: what sets it aside by itself, whatever its category. A record without a defect is eligible for pairing.
with cited as (
    select
        record.record_key,
        unnest(record.cited_paths) as path,
        generate_subscripts(record.cited_paths, 1) as position,
    from evidence.record as record
    cross join policy.setting as setting
    where setting.known_paths_sha256 is not null
),

absent as (
    select
        cited.record_key,
        string_agg('cited_paths[' || cited.position || ']', ', ' order by cited.position) as positions,
    from cited
    left join policy.known_path as known on cited.path = known.path
    where
        known.path is null
        -- Paths are compared as text and never opened; one that leaves the repository is absent even if a manifest lists it.
        or regexp_matches(cited.path, '^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\x00')
    group by cited.record_key
),

-- Few records are there more than once: to count them all is cheaper than to number them all.
repeated as (
    select evidence_id
    from evidence.record
    group by evidence_id
    having count(*) > 1
),

numbered as (
    select
        record.record_key,
        row_number() over same_evidence as occurrence,
        first_value(record.source_path || ':' || record.line_number) over same_evidence as first_at,
    from evidence.record as record
    inner join repeated on record.evidence_id = repeated.evidence_id
    window same_evidence as (partition by record.evidence_id order by record.source_path, record.line_number)
),

flagged as (
    select
        record.record_key,
        record.source_path,
        record.line_number,
        policy.is_blank(record.source_path) or record.line_number is null or policy.is_blank(record.line_sha256)
            as missing_provenance,
        policy.is_blank(record.run_id) as missing_source_run_id,
        policy.is_blank(record.response) as empty_response,
        policy.is_blank(record.prompt) as empty_prompt,
        record.source is null or record.task_id is null as schema_violation,
        absent.positions as absent_paths,
        case when numbered.occurrence > 1 then numbered.first_at end as duplicate_of,
    from evidence.record as record
    left join numbered on record.record_key = numbered.record_key
    left join absent on record.record_key = absent.record_key
)

select
    record_key,
    source_path,
    line_number,
    missing_provenance,
    missing_source_run_id,
    empty_response,
    empty_prompt,
    schema_violation,
    absent_paths,
    duplicate_of,
    not missing_provenance
    and not missing_source_run_id
    and not empty_response
    and not schema_violation
    and absent_paths is null
    and duplicate_of is null as is_eligible,
from flagged
