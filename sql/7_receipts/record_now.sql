-- One row per record: the state it is in now, as receipts.record_state keeps it. nth counts identical lines in their order.
select
    run.evidence_id,
    row_number() over (partition by run.evidence_id order by run.source_path, run.line_number) as nth,
    run.source_path,
    run.line_number,
    run.category,
    rag.quarantine_reason as rag_reason,
    sft.quarantine_reason as sft_reason,
from scored.run as run
inner join datasets.fate_rag as rag on run.record_key = rag.record_key
inner join datasets.fate_sft as sft on run.record_key = sft.record_key
