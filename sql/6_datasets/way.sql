-- One row per record: its way from file and line through rule, category and pairing to its id and fate in each dataset.
-- A reason says why the dataset refused it; null: it ships there.
select
    run.evidence_id,
    run.line_sha256,
    run.source,
    run.source_path,
    run.line_number,
    run.run_id,
    run.task_id,
    run.category,
    run.rule,
    run.reasons,
    rag.id as rag_id,
    rag.quarantine_reasons as rag_reasons,
    rag.detail as rag_detail,
    sft.id as sft_id,
    sft.quarantine_reasons as sft_reasons,
    sft.detail as sft_detail,
    pairing.fate as pairing_fate,
from scored.run as run
inner join datasets.rag as rag on run.source_path = rag.source_path and run.line_number = rag.line_number
inner join datasets.sft as sft on run.source_path = sft.source_path and run.line_number = sft.line_number
inner join pairs.record as pairing
    on run.source_path = pairing.source_path and run.line_number = pairing.line_number
