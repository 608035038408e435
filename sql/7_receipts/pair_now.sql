-- One row per candidate pair: the state it is in now, as receipts.pair_state keeps it.
select
    fate.id,
    fate.chosen_evidence_id,
    fate.rejected_evidence_id,
    fate.rejected_category,
    coalesce(fate.quarantine_reason, fate.skip_reason) as reason,
from datasets.fate_preference as fate
