-- Records with their text, and what each dataset decides about them; see scored.run and datasets.decision. Ordered by attempt.
--   datasets: dataset, id, quarantine_reasons and detail for each dataset, in the order of policy.dataset
--   record_key: the record within this warehouse
--   $keys: the record_key of each record
with record as (
    from evidence.record
    where list_contains($keys, record_key)
),

explained as (
    select
        decision.record_key,
        list(
            struct_pack(
                dataset := decision.dataset,
                id := decision.id,
                quarantine_reasons := decision.quarantine_reasons,
                detail := decision.detail
            )
            order by dataset.position
        ) as datasets,
    from datasets.decision as decision
    inner join policy.dataset as dataset on decision.dataset = dataset.dataset
    where list_contains($keys, decision.record_key)
    group by decision.record_key
)

select
    record.evidence_id,
    record.item_sha256,
    record.source,
    record.source_path,
    record.item_number,
    record.record_number,
    record.parts,
    record.run_id,
    record.task_id,
    run.category,
    run.rule,
    run.reasons,
    record.created_at,
    record.model,
    record.prompt,
    record.response,
    explained.datasets,
    record.record_key,
from record
inner join explained on record.record_key = explained.record_key
inner join scored.run as run on record.record_key = run.record_key
order by record.task_id, record.run_id, record.source_path, record.item_number, record.record_number
