-- The records that an id or places name, with their text and what each dataset decides about them; see datasets.lineage.
--   datasets: dataset, id, quarantine_reasons and detail for each dataset, in the order of policy.dataset
--   $places: the keys of records, as path:item:record
--   $id: an evidence_id, an item_sha256, the id of a row of a dataset, or the place of an item, as path:item
select
    lineage.* exclude (dataset, id, quarantine_reasons, detail),
    record.created_at,
    record.model,
    record.prompt,
    record.response,
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
inner join evidence.record as record
    on
        lineage.source_path = record.source_path
        and lineage.item_number = record.item_number
        and lineage.record_number = record.record_number
inner join policy.dataset as dataset on lineage.dataset = dataset.dataset
group by all
having
    list_contains($places, concat_ws(':', lineage.source_path, lineage.item_number, lineage.record_number))
    or $id in (lineage.evidence_id, lineage.item_sha256, lineage.source_path || ':' || lineage.item_number)
    or bool_or(lineage.id = $id)
order by lineage.source_path, lineage.item_number, lineage.record_number
