-- One row per candidate pair, as the preference dataset would have it. quarantine_reason says why it is refused,
-- skip_reason that it is over the cap of its task; both null: it ships.
select
    decision.id,
    decision.task_id,
    chosen.prompt,
    chosen.response as chosen,
    rejected.response as rejected,
    decision.chosen_run_id,
    decision.rejected_run_id,
    decision.chosen_category,
    decision.rejected_category,
    decision.reason,
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
    decision.source_path,
    decision.line_number,
    decision.quarantine_reason,
    decision.quarantine_reasons,
    decision.detail,
    decision.skip_reason,
from datasets.pair_decision as decision
inner join evidence.record as chosen on decision.chosen_key = chosen.record_key
inner join evidence.record as rejected on decision.rejected_key = rejected.record_key
where decision.dataset = 'preference'
