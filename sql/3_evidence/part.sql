-- One row per block of 16 items of a file: the part of the datasets in which the rows of its records lie. Parts follow each other in
-- the order of the evidence. They follow from the evidence as it stands, never from how it came, and a change of one file moves few
-- of them: a large file is cut on its own, from its beginning, and small files are cut where the hash of a path is the largest far
-- and wide. A size is a number of records, or more where their texts are long: 2,684 bytes count as a record. A part has at most
-- part_items of them, and at least a fifth of it where there are as many.
--   source_path: the file of the items, relative to the evidence folder
--   block: the number of the block in its file: item_number // 16
--   part: the number of the part, from 1
with setting as (
    select
        part_items // 5 as least_size,
        part_items // 5 * 2 as step,
        part_items,
        one_file,
    from policy.setting
),

block as (
    select
        source_path,
        item_number // 16 as block,
        greatest(count(*), sum(text_bytes)::bigint // 2684) as size,
    from evidence.stored_record
    where source_class <> 'grade'
    group by source_path, item_number // 16
),

of_file as (
    select
        *,
        (sum(size) over (partition by source_path order by block))::bigint - size as before,
        (sum(size) over (partition by source_path))::bigint as whole,
    from block
),

cut_file as ( -- its last piece is the longest, so that none is short
    select
        of_file.source_path,
        of_file.block,
        of_file.size,
        of_file.whole >= setting.least_size as is_large,
        least(
            of_file.before // setting.step, greatest((of_file.whole + setting.least_size) // setting.step, 1) - 1
        ) as piece,
    from of_file
    cross join setting
),

piece as (
    select
        source_path,
        piece,
        bool_or(is_large) as is_large,
        sum(size)::bigint as size,
    from cut_file
    group by source_path, piece
),

in_row as ( -- small files between two large ones are a row; large_before numbers the rows
    select
        *,
        (count(*) filter (where is_large) over (order by source_path, piece))::bigint as large_before,
    from piece
),

of_row as (
    select
        *,
        (sum(size) over (partition by is_large, large_before order by source_path))::bigint - size as before,
        (sum(size) over (partition by is_large, large_before))::bigint as whole,
        (
            select count(*)
            from piece
            where is_large
        ) as large_files,
        md5_number_lower(source_path) as hash,
    from in_row
),

cut_row as (
    select
        of_row.*,
        not of_row.is_large
        and of_row.before >= setting.least_size
        and of_row.whole - of_row.before >= setting.least_size
        and of_row.hash >= max(of_row.hash) over near as is_cut,
    from of_row
    cross join setting
    window near as (
        partition by of_row.is_large, of_row.large_before
        order by of_row.before
        range between setting.least_size preceding and setting.least_size following
    )
),

in_section as (
    select
        *,
        (count(*) filter (where is_cut) over (partition by is_large, large_before order by before))::bigint as section,
    from cut_row
),

of_section as (
    select
        *,
        before - min(before) over same_section as section_before,
        (sum(size) over same_section)::bigint as section_whole,
    from in_section
    window same_section as (partition by is_large, large_before, section)
),

cut_section as ( -- few sections are longer than a part
    select
        of_section.*,
        case
            when of_section.section_whole <= setting.part_items then 0
            else least(of_section.section_before // setting.step, greatest(of_section.section_whole // setting.step, 1) - 1)
        end as slice,
    from of_section
    cross join setting
),

beginning as (
    select
        cut_section.source_path,
        cut_section.piece,
        case
            when setting.one_file then false
            -- a row that is too short for a part belongs to the large file behind it, else to that before it
            when cut_section.is_large
                then not coalesce(not lag(is_large) over in_order and lag(whole) over in_order < setting.least_size, false)
            when cut_section.before > 0
                then section <> lag(section) over in_order or slice <> lag(slice) over in_order
            else cut_section.whole >= setting.least_size or cut_section.large_before < cut_section.large_files
        end as begins,
    from cut_section
    cross join setting
    window in_order as (order by cut_section.source_path, cut_section.piece)
),

numbered as (
    select
        source_path,
        piece,
        greatest((count(*) filter (where begins) over (order by source_path, piece))::bigint, 1) as part,
    from beginning
)

select
    cut_file.source_path,
    cut_file.block,
    numbered.part,
from cut_file
inner join numbered on cut_file.source_path = numbered.source_path and cut_file.piece = numbered.piece
