-- One row per dataset and row that it ships or refuses: the state it is in now, as receipts.row_history keeps it. nth counts
-- identical lines in their order; other_evidence_id is the rejected side of a pair (null: the row is one record).
with repeated as (
    -- few lines are there more than once: to count them all is cheaper than to number them all
    select evidence_id
    from scored.run
    group by evidence_id
    having count(*) > 1
),

numbered as (
    select
        run.record_key,
        row_number() over (partition by run.evidence_id order by run.source_path, run.line_number) as nth,
    from scored.run as run
    inner join repeated on run.evidence_id = repeated.evidence_id
)

select
    decision.dataset,
    run.evidence_id,
    null::varchar as other_evidence_id,
    coalesce(numbered.nth, 1) as nth,
    run.source_path,
    run.line_number,
    decision.category,
    decision.quarantine_reason as reason,
from datasets.decision as decision
inner join scored.run as run on decision.record_key = run.record_key
left join numbered on decision.record_key = numbered.record_key
union all
select
    decision.dataset,
    decision.chosen_evidence_id as evidence_id,
    decision.rejected_evidence_id as other_evidence_id,
    1::bigint as nth,
    null::varchar as source_path,
    null::bigint as line_number,
    decision.rejected_category as category,
    coalesce(decision.quarantine_reason, decision.skip_reason) as reason,
from datasets.pair_decision as decision
