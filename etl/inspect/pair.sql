-- The pair that has an id, with its text and what its dataset decides about it; see datasets.pair_decision.
--   provenance: file, item, number of the record among those of the item, and hash of the item, of the chosen and of the rejected record
--   chosen_key, rejected_key: the record_key of each side
--   $id: the id
select
    decision.id,
    decision.dataset,
    decision.task_id,
    chosen.prompt,
    chosen.response as chosen,
    rejected.response as rejected,
    decision.chosen_run_id,
    decision.rejected_run_id,
    decision.chosen_category,
    decision.rejected_category,
    decision.reason,
    struct_pack(
        chosen := struct_pack(
            source_path := chosen.source_path,
            item_number := chosen.item_number,
            record_number := chosen.record_number,
            item_sha256 := chosen.item_sha256
        ),
        rejected := struct_pack(
            source_path := rejected.source_path,
            item_number := rejected.item_number,
            record_number := rejected.record_number,
            item_sha256 := rejected.item_sha256
        )
    ) as provenance,
    decision.quarantine_reasons,
    decision.skip_reason,
    decision.detail,
    decision.chosen_key,
    decision.rejected_key,
from datasets.pair_decision as decision
inner join evidence.record as chosen on decision.chosen_key = chosen.record_key
inner join evidence.record as rejected on decision.rejected_key = rejected.record_key
where decision.id = $id
