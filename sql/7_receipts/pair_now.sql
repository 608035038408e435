-- One row per candidate pair: the state it is in now, as receipts.pair_state keeps it.
select
    preference.id,
    candidate.chosen_evidence_id,
    candidate.rejected_evidence_id,
    candidate.rejected_category,
    coalesce(preference.quarantine_reason, preference.skip_reason) as reason,
from datasets.preference as preference
inner join pairs.candidate as candidate
    on
        preference.provenance.chosen.source_path = candidate.chosen_source_path
        and preference.provenance.chosen.line_number = candidate.chosen_line_number
        and preference.provenance.rejected.source_path = candidate.rejected_source_path
        and preference.provenance.rejected.line_number = candidate.rejected_line_number
