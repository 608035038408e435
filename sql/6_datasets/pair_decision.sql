-- One row per dataset of pairs and candidate pair: what the dataset decides about it. quarantine_reason says why it is refused,
-- skip_reason that it is over the cap of its task; both null: it ships. It holds no text, as the decisions about records.
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
    candidate.detail,
    candidate.chosen_key,
    candidate.chosen_source_path as source_path,
    candidate.chosen_line_number as line_number,
    candidate.rejected_key,
    candidate.rejected_source_path,
    candidate.rejected_line_number,
    candidate.chosen_evidence_id,
    candidate.rejected_evidence_id,
from pairs.candidate as candidate
inner join policy.dataset as dataset on dataset.grain = 'pair'
