-- One row per dataset of pairs and candidate pair: whether it ships in that dataset, and if not, why. It ships where both
-- quarantine_reason and skip_reason are null. A row carries no text, so that rows are judged and counted in little memory.
--   dataset: the dataset, see policy.dataset
--   id: the row's id in the dataset: sha256 hex of the dataset's name and both evidence_ids, chosen first, joined by 0x1F
--   chosen_run_id: the agent's run that gave the chosen answer
--   rejected_run_id: the agent's run that gave the rejected answer
--   task_id: the task of both records
--   chosen_category: the category of the chosen record
--   rejected_category: the category of the rejected record
--   reason: why the chosen record is preferred: the gap between the categories, see policy.pairing
--   quarantine_reason: the first reason why it is quarantined; null: it is not
--   quarantine_reasons: all reasons why it is quarantined, in the order of policy.reason; empty: it is not
--   skip_reason: over_cap where the task exports max_pairs_per_task better pairs; else null
--   detail: why it is quarantined, in words; null: it is not
--   split: train, validation or test, see scored.task_group
--   part: the part of the dataset in which the row lies: that of the chosen record, see evidence.part
--   chosen_key: the record_key of the chosen record
--   source_path: the file of the chosen record
--   item_number: the item of the chosen record in its file
--   record_number: the number of the chosen record among those of its item
--   rejected_key: the record_key of the rejected record
--   rejected_source_path: the file of the rejected record
--   rejected_item_number: the item of the rejected record in its file
--   rejected_record_number: the number of the rejected record among those of its item
--   chosen_evidence_id: the evidence_id of the chosen record
--   rejected_evidence_id: the evidence_id of the rejected record
select
    dataset.dataset,
    sha256(concat(
        dataset.dataset, chr(31), candidate.chosen_evidence_id, chr(31), candidate.rejected_evidence_id
    )) as id,
    candidate.chosen_run_id,
    candidate.rejected_run_id,
    candidate.task_id,
    candidate.chosen_category,
    candidate.rejected_category,
    candidate.gap as reason,
    candidate.quarantine_reason,
    candidate.quarantine_reasons,
    case when candidate.outcome = 'over_cap' then 'over_cap' end as skip_reason,
    policy.short(candidate.detail, 200) as detail,
    task_group.split,
    part.part,
    candidate.chosen_key,
    candidate.chosen_source_path as source_path,
    candidate.chosen_item_number as item_number,
    candidate.chosen_record_number as record_number,
    candidate.rejected_key,
    candidate.rejected_source_path,
    candidate.rejected_item_number,
    candidate.rejected_record_number,
    candidate.chosen_evidence_id,
    candidate.rejected_evidence_id,
from pairs.candidate as candidate
inner join policy.dataset as dataset on dataset.grain = 'pair'
inner join evidence.part as part
    on candidate.chosen_source_path = part.source_path and candidate.chosen_item_number // 16 = part.block
left join scored.task_group as task_group on candidate.task_id = task_group.task_id
