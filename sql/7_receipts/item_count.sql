-- One row: what became of the items of the evidence, counted now in this warehouse. An item is a line, an element of a document, a
-- row of Parquet or a text; a file that is an entry as a whole counts among the skipped ones.
--   mapped: how many have records of their own
--   part: how many are part of the records of other items, and have none of their own
--   skipped: how many are skipped
--   blank: how many lines are blank
--   records: how many records there are; an item may give several
with own as (
    select distinct
        record.source_path,
        record.item_number,
    from evidence.stored_record as record
),

listed as (
    select distinct unnest(record.parts) as item
    from evidence.stored_record as record
    where record.parts is not null
),

part as (
    select listed.item
    from listed
    anti join own on listed.item.source_path = own.source_path and listed.item.item_number = own.item_number
    anti join evidence.skipped as skipped
        on listed.item.source_path = skipped.source_path and listed.item.item_number = skipped.item_number
)

select
    (select count(*) from own) as mapped,
    (select count(*) from part) as part,
    (select count(*) from evidence.skipped) as skipped,
    (select coalesce(sum(file.blank_count), 0)::bigint from evidence.file as file) as blank,
    (select count(*) from evidence.stored_record) as records,
