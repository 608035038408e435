-- Makes the view of the records that the written rows name, as evidence.record and scored.run know them: one row for each of
-- raw.main.written. A row's own label is not trusted: the category is that of scored.run.
--   id: the id of the written row
--   side: chosen, rejected or record
--   response: the hash of the response that the row carries
--   is_named: whether a scored record has the place and the line hash that the row names
--   is_carried: whether that record has the text and run that the row carries
--   evidence_id, task_id, run_id, category: those of the record
create or replace temp view named as
with record as (
    select
        source_path,
        item_number,
        record_number,
        hash(prompt) as prompt,
        hash(response) as response,
        hash(run_id) as run_id,
    from evidence.record
)

select
    written.id,
    written.side,
    written.response,
    coalesce(written.item_sha256 = scored.item_sha256 and scored.category is not null, false) as is_named,
    coalesce(written.prompt = record.prompt, written.prompt is null)
    and coalesce(written.response = record.response, written.response is null)
    and coalesce(written.run_id = record.run_id, written.run_id is null) as is_carried,
    scored.evidence_id,
    scored.task_id,
    scored.run_id,
    scored.category,
from raw.main.written as written
left join scored.run as scored
    on
        written.source_path = scored.source_path
        and written.item_number = scored.item_number
        and written.record_number = scored.record_number
left join record
    on
        written.source_path = record.source_path
        and written.item_number = record.item_number
        and written.record_number = record.record_number
