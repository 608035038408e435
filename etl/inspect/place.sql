-- The items that a path and a number can mean, the path as given first: a row for each file of the evidence that has one of these
-- paths, that is an archive with such a member, or that is a folder above it which was not entered.
--   source: its source
--   source_path: the file, or the member of an archive, relative to the evidence folder
--   item_number: the number; 0 where the file or member is one entry, whatever the number
--   is_member: whether it is a member of an archive; the counts and the hash are then the archive's
--   outcome: record, part, skipped, blank, ignored, file (item 0 of a file that was read) or member (item 0 of a member of which
--       something came); null: the file has no such item, or nothing came of it
--   part_of: the records that have the item as a part; null: none
--   ignored_by, bytes, sha256, record_count, blank_count: of the file, see evidence.file
--   $paths: the paths
--   $item: the number
with asked as (
    select
        unnest(list_distinct($paths)) as path,
        $item as number,
),

wanted as (
    select
        file.*,
        asked.number,
        list_position($paths, asked.path) as place,
        starts_with(asked.path, file.source_path || '!') as is_member,
        case when starts_with(asked.path, file.source_path || '/') then file.source_path else asked.path end as wanted_path,
    from evidence.file as file
    inner join asked
        on
            file.source_path = asked.path
            or starts_with(asked.path, file.source_path || '/')
            or (regexp_matches(file.source_path, '[.](zip|eval)$', 'i') and starts_with(asked.path, file.source_path || '!'))
),

-- what came of each of these items; the member as one entry before the archive
found as (
    select
        wanted.*,
        exists (
            from evidence.stored_record as record
            where record.source_path = wanted.wanted_path and record.item_number = wanted.number
        ) as is_record,
        exists (
            from evidence.skipped as skipped
            where skipped.source_path = wanted.wanted_path and skipped.item_number = wanted.number
        ) as is_skipped,
        (
            select max(skipped.source_path)
            from evidence.skipped as skipped
            where skipped.item_number = 0 and skipped.source_path in (wanted.wanted_path, wanted.source_path)
        ) as entry,
        (
            select
                list(
                    struct_pack(
                        source_path := record.source_path,
                        item_number := record.item_number,
                        record_number := record.record_number
                    )
                    order by record.source_path, record.item_number, record.record_number
                )
            from evidence.stored_record as record
            where
                list_contains(
                    record.parts, struct_pack(source_path := wanted.wanted_path, item_number := wanted.number::bigint)
                )
        ) as part_of,
        exists (
            from evidence.stored_record as record
            where record.source_path = wanted.wanted_path
        )
        or exists (
            from evidence.skipped as skipped
            where skipped.source_path = wanted.wanted_path
        )
        or exists (
            from evidence.stored_record as record
            where list_contains(list_transform(record.parts, lambda part: part['source_path']), wanted.wanted_path)
        ) as is_known_member,
    from wanted
),

judged as (
    select
        found.*,
        entry is not null and not is_record and not is_skipped and part_of is null as is_one_entry,
    from found
)

select
    source,
    case when ignored_by is not null then source_path when is_one_entry then entry else wanted_path end as source_path,
    case when ignored_by is not null or is_one_entry then 0 else number end as item_number,
    is_member,
    case
        when ignored_by is not null then 'ignored'
        when is_record then 'record'
        when is_skipped or is_one_entry then 'skipped'
        when part_of is not null then 'part'
        when number = 0 and not is_member then 'file'
        when number = 0 and is_known_member then 'member'
        when number <= record_count + blank_count and not is_member then 'blank'
    end as outcome,
    part_of,
    ignored_by,
    bytes,
    sha256,
    record_count,
    blank_count,
from judged
order by place, source_path
