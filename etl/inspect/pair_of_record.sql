-- The candidate pairs that a record is a side of: their ids and what became of them.
--   $id: the evidence_id of the record
select
    decision.id,
    candidate.outcome,
    candidate.quarantine_reasons,
from pairs.candidate as candidate
inner join datasets.pair_decision as decision
    on candidate.chosen_key = decision.chosen_key and candidate.rejected_key = decision.rejected_key
where $id in (candidate.chosen_evidence_id, candidate.rejected_evidence_id)
order by decision.id
