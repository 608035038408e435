-- One row per dataset of records and scored record: its item, its category and why, its outcome at the pairing, and what the
-- dataset decides about it. etl explain shows it.
--   evidence_id: the record across warehouses; equal for identical items
--   item_sha256: sha256 hex of the item's bytes, of a line without the line feed
--   source: the source, which is the name of its mapping
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   run_id: the agent's run at the task; null: the item names none
--   task_id: the task that the agent worked on
--   category: accepted, partially_accepted, rejected or needs_human_review
--   rule: the rule that decided the category, see scored.run
--   reasons: all signals that the record has, see scored.run
--   pairing_outcome: what pairing did with it, see pairs.record
--   dataset: the dataset
--   id: its id in that dataset
--   quarantine_reasons: all reasons why it does not ship, in the order of policy.reason; empty: it ships
--   detail: where the first reason was found; null: it ships
select
    run.evidence_id,
    run.item_sha256,
    run.source,
    run.source_path,
    run.item_number,
    run.record_number,
    run.run_id,
    run.task_id,
    run.category,
    run.rule,
    run.reasons,
    pairing.outcome as pairing_outcome,
    decision.dataset,
    decision.id,
    decision.quarantine_reasons,
    decision.detail,
from scored.run as run
inner join datasets.decision as decision on run.record_key = decision.record_key
inner join pairs.record as pairing
    on
        run.source_path = pairing.source_path
        and run.item_number = pairing.item_number
        and run.record_number = pairing.record_number
