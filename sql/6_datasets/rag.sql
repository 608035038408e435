-- One row per scored record, as the rag dataset would have it. quarantine_reason says why it does not ship; null: it ships.
select
    decision.id,
    record.run_id as source_run_id,
    record.task_id,
    record.source,
    decision.category as source_category,
    nullif(left(split_part(policy.trimmed(record.prompt), chr(10), 1), 120), '') as title,
    record.response as content,
    record.model,
    record.created_at,
    struct_pack(
        source_path := record.source_path, line_number := record.line_number, line_sha256 := record.line_sha256
    ) as provenance,
    decision.source_path,
    decision.line_number,
    decision.category,
    decision.quarantine_reason,
    decision.quarantine_reasons,
    decision.detail,
from datasets.decision as decision
inner join evidence.record as record on decision.record_key = record.record_key
where decision.dataset = 'rag'
