-- Ends the states in receipts.row_history that no longer hold, see receipts.row_state.
--   $before: the number of the last run that published before this one; null: there is none
update receipts.row_history as history set last_seq = $before
where history.last_seq is null and not exists (
    from receipts.row_state as state
    where
        state.dataset = history.dataset
        and state.evidence_id = history.evidence_id
        and state.other_evidence_id is not distinct from history.other_evidence_id
        and state.nth = history.nth
        and state.source_path = history.source_path
        and state.item_number = history.item_number
        and state.record_number = history.record_number
        and state.other_source_path is not distinct from history.other_source_path
        and state.other_item_number is not distinct from history.other_item_number
        and state.other_record_number is not distinct from history.other_record_number
        and state.category = history.category
        and state.reason is not distinct from history.reason
)
