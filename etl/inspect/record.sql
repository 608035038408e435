-- Records with their text, and what each dataset decides about them; see datasets.lineage. Ordered by attempt.
--   datasets: dataset, id, quarantine_reasons and detail for each dataset, in the order of policy.dataset
--   record_key: the record within this warehouse
--   $keys: the record_key of each record
with record as (
    from evidence.record
    where list_contains($keys, record_key)
),

explained as (
    select
        record.record_key,
        any_value(lineage) as lineage,
        list(
            struct_pack(
                dataset := lineage.dataset,
                id := lineage.id,
                quarantine_reasons := lineage.quarantine_reasons,
                detail := lineage.detail
            )
            order by dataset.position
        ) as datasets,
    from datasets.lineage as lineage
    inner join record
        on
            lineage.source_path = record.source_path
            and lineage.item_number = record.item_number
            and lineage.record_number = record.record_number
    inner join policy.dataset as dataset on lineage.dataset = dataset.dataset
    group by record.record_key
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
    explained.lineage.category,
    explained.lineage.rule,
    explained.lineage.reasons,
    explained.lineage.pairing_outcome,
    record.created_at,
    record.model,
    record.prompt,
    record.response,
    explained.datasets,
    record.record_key,
from record
inner join explained on record.record_key = explained.record_key
order by record.task_id, record.run_id, record.source_path, record.item_number, record.record_number
