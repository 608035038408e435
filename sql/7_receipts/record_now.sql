-- One row per record: the state it is in now, as receipts.record_state keeps it. nth counts identical lines in their order.
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
    run.evidence_id,
    coalesce(numbered.nth, 1) as nth,
    run.source_path,
    run.line_number,
    run.category,
    rag.quarantine_reason as rag_reason,
    sft.quarantine_reason as sft_reason,
from scored.run as run
inner join datasets.fate_rag as rag on run.record_key = rag.record_key
inner join datasets.fate_sft as sft on run.record_key = sft.record_key
left join numbered on run.record_key = numbered.record_key
