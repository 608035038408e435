-- The items that a path and a number can mean, the path as given first: a row for each file of the evidence that has one of these
-- paths, or that is a folder above it which was not entered.
--   source_path: the file, relative to the evidence folder
--   item_number: the number; 0 where the file is one entry, whatever the number
--   outcome: record, skipped, blank, ignored, or file (item 0 of a file that was read); null: the file has no such item
--   ignored_by, bytes, sha256, record_count, blank_count: of the file, see evidence.file
--   $paths: the paths
--   $item: the number
with wanted as (
    select
        file.*,
        list_position($paths, file.source_path) as place,
        $item as number,
        exists (
            from evidence.skipped as skipped
            where skipped.source_path = file.source_path and skipped.item_number = 0
        ) as is_one_entry,
    from evidence.file as file
    where
        list_contains($paths, file.source_path)
        or len(list_filter($paths, lambda path: starts_with(path, file.source_path || '/'))) > 0
),

found as (
    select
        wanted.*,
        exists (
            from evidence.record as record
            where record.source_path = wanted.source_path and record.item_number = wanted.number
        ) as is_record,
        exists (
            from evidence.skipped as skipped
            where skipped.source_path = wanted.source_path and skipped.item_number = wanted.number
        ) as is_skipped,
    from wanted
)

select
    source_path,
    case when ignored_by is not null or (is_one_entry and not is_record and not is_skipped) then 0 else number end as item_number,
    case
        when ignored_by is not null then 'ignored'
        when is_record then 'record'
        when is_skipped or is_one_entry then 'skipped'
        when number = 0 then 'file'
        when number <= record_count + blank_count then 'blank'
    end as outcome,
    ignored_by,
    bytes,
    sha256,
    record_count,
    blank_count,
from found
order by place nulls last, source_path
