-- One row per dataset and row that it ships or refuses: the state that the row has now. receipts.row_history keeps the states.
--   dataset: the dataset
--   evidence_id: the record that the row is made from; of a pair, the chosen one
--   other_evidence_id: the rejected record of a pair; null: the row is made from one record
--   nth: 1, 2, … for the records of identical lines, by place; 1 for a pair
--   source_path: the file of the item; of a pair, that of the chosen record
--   item_number: the item in its file; of a pair, that of the chosen record
--   record_number: the number of the record among those of its item; of a pair, that of the chosen record
--   other_source_path: of a pair, the file of the rejected record; else null
--   other_item_number: of a pair, the item of the rejected record; else null
--   other_record_number: of a pair, the number of the rejected record among those of its item; else null
--   category: the category of the record; of a pair, that of the rejected one
--   reason: the first reason why the dataset refuses or skips it; null: it ships
with repeated as (
    -- few lines are repeated: to count all and number the repeated ones is cheaper than to number all
    select evidence_id
    from scored.run
    group by evidence_id
    having count(*) > 1
),

numbered as (
    select
        run.record_key,
        row_number() over (partition by run.evidence_id order by run.source_path, run.item_number, run.record_number) as nth,
    from scored.run as run
    inner join repeated on run.evidence_id = repeated.evidence_id
)

select
    decision.dataset,
    run.evidence_id,
    null::varchar as other_evidence_id,
    coalesce(numbered.nth, 1) as nth,
    run.source_path,
    run.item_number,
    run.record_number,
    null::varchar as other_source_path,
    null::bigint as other_item_number,
    null::bigint as other_record_number,
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
    decision.source_path,
    decision.item_number,
    decision.record_number,
    decision.rejected_source_path as other_source_path,
    decision.rejected_item_number as other_item_number,
    decision.rejected_record_number as other_record_number,
    decision.rejected_category as category,
    coalesce(decision.quarantine_reason, decision.skip_reason) as reason,
from datasets.pair_decision as decision
