-- One row per dataset of records and record: its way from file and line through rule, category and pairing to its id and what the
-- dataset decides about it. quarantine_reasons say why the dataset refuses it; none: it ships there.
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
    pairing.outcome as pairing_outcome,
    decision.dataset,
    decision.id,
    decision.quarantine_reasons,
    decision.detail,
from scored.run as run
inner join datasets.decision as decision on run.record_key = decision.record_key
inner join pairs.record as pairing
    on run.source_path = pairing.source_path and run.line_number = pairing.line_number
