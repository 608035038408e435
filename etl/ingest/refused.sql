-- The rows of evidence.skipped for the items of a portion that give no record and are part of none: items (with their bytes), the
-- rows of evidence.incoming made of them.
with own as ( -- the items that records are made of, with what is wrong with the first record that has a problem
    select
        source_path,
        item_number,
        arg_min(problem, record_number) as reason,
        arg_min(struct_pack(detail := detail), record_number) filter (where problem is not null).detail as detail,
    from incoming
    group by source_path, item_number
),

part as ( -- the items that are parts, with what is wrong with the records that have them; a good record has no reason
    select
        part.part.source_path,
        part.part.item_number,
        bool_or(own.reason is null) as is_of_a_good_record,
        arg_min(own.reason, (part.source_path, part.item_number)) as reason,
        arg_min(struct_pack(detail := own.detail), (part.source_path, part.item_number))
        filter (where own.reason is not null).detail as detail,
    from (
        select
            source_path,
            item_number,
            unnest(parts) as part,
        from incoming
        where parts is not null
    ) as part
    inner join own on part.source_path = own.source_path and part.item_number = own.item_number
    group by part.part.source_path, part.part.item_number
),

judged as (
    select
        item.source,
        item.source_path,
        item.item_number,
        item.item_sha256,
        case
            when own.source_path is not null then own.reason
            when item._problem is not null then item._problem
            when part.is_of_a_good_record then null
            else coalesce(part.reason, 'unmapped')
        end as reason,
        case
            when own.source_path is not null then own.detail
            when item._problem is not null then item._detail
            else part.detail
        end as detail,
        coalesce(item._content, encode(item.json)) as raw,
    from items as item
    left join own on item.source_path = own.source_path and item.item_number = own.item_number
    left join part on item.source_path = part.source_path and item.item_number = part.item_number
)

select
    source,
    source_path,
    item_number,
    item_sha256,
    reason,
    detail,
    raw,
from judged
where reason is not null
