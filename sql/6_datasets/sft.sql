-- One row per scored record, as the sft dataset would have it. quarantine_reason says why it does not ship; null: it ships.
select
    fate.id,
    record.run_id as source_run_id,
    record.task_id,
    record.source,
    fate.category as quality_score,
    record.prompt as instruction,
    record.response,
    record.model,
    record.created_at,
    struct_pack(
        source_path := record.source_path, line_number := record.line_number, line_sha256 := record.line_sha256
    ) as provenance,
    fate.source_path,
    fate.line_number,
    fate.category,
    fate.quarantine_reason,
    fate.quarantine_reasons,
    fate.detail,
from datasets.fate_sft as fate
inner join evidence.record as record on fate.record_key = record.record_key
