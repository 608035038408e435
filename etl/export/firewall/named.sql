-- Makes the table of the records that the written rows name, as evidence.record and scored.run know them: one row for each of
-- raw.main.written. A row's own label is not trusted: the category is that of scored.run.
--   id: the id of the written row
--   side: chosen, rejected or record
--   response: the hash of the response that the row carries
--   is_named: whether a scored record has the place and the line hash that the row names
--   is_carried: whether that record has the text and run that the row carries
--   evidence_id, task_id, run_id, category: those of the record
--   $carried: the columns of evidence.record that the dataset carries
create or replace table raw.main.named as
with record as (
    select
        source_path,
        line_number,
        hash(
            case when list_contains($carried, 'prompt') then prompt end,
            case when list_contains($carried, 'response') then response end,
            case when list_contains($carried, 'run_id') then run_id end
        ) as carried,
    from evidence.record
)

select
    written.id,
    written.side,
    written.response,
    coalesce(written.line_sha256 = scored.line_sha256 and scored.category is not null, false) as is_named,
    coalesce(written.carried = record.carried, false) as is_carried,
    scored.evidence_id,
    scored.task_id,
    scored.run_id,
    scored.category,
from raw.main.written as written
left join scored.run as scored
    on written.source_path = scored.source_path and written.line_number = scored.line_number
left join record
    on written.source_path = record.source_path and written.line_number = record.line_number
