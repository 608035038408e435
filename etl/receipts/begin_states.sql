-- Adds to receipts.row_history the states in receipts.row_state that no state without an end stands for.
--   $seq: the number of this run
insert into receipts.row_history by name
select
    state.*,
    $seq as first_seq,
from receipts.row_state as state
anti join receipts.row_history as history
    on
        history.last_seq is null
        and state.dataset = history.dataset
        and state.evidence_id = history.evidence_id
        and state.other_evidence_id is not distinct from history.other_evidence_id
        and state.nth = history.nth
