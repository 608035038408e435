-- One row per candidate pair, as the preference dataset would have it. quarantine_reason says why it is refused,
-- skip_reason that it is over the cap of its task; both null: it ships.
select
    fate.id,
    fate.task_id,
    chosen.prompt,
    chosen.response as chosen,
    rejected.response as rejected,
    fate.chosen_run_id,
    fate.rejected_run_id,
    fate.chosen_category,
    fate.rejected_category,
    fate.reason,
    greatest(chosen.created_at, rejected.created_at) as created_at,
    struct_pack(
        chosen := struct_pack(
            source_path := chosen.source_path, line_number := chosen.line_number, line_sha256 := chosen.line_sha256
        ),
        rejected := struct_pack(
            source_path := rejected.source_path,
            line_number := rejected.line_number,
            line_sha256 := rejected.line_sha256
        )
    ) as provenance,
    fate.source_path,
    fate.line_number,
    fate.quarantine_reason,
    fate.quarantine_reasons,
    fate.detail,
    fate.skip_reason,
from datasets.fate_preference as fate
inner join evidence.record as chosen on fate.chosen_key = chosen.record_key
inner join evidence.record as rejected on fate.rejected_key = rejected.record_key
