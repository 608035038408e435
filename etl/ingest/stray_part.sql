-- The item of a record of the portion with a part that is no item of the record's unit, or, where a mapping sees items one by one,
-- another item.
select
    part.source_path,
    part.item_number,
from (
    select
        source_path,
        item_number,
        unnest(parts) as part,
    from incoming
    where parts is not null
) as part
inner join items as own on part.source_path = own.source_path and part.item_number = own.item_number
left join items as item on part.part.source_path = item.source_path and part.part.item_number = item.item_number
where
    item.source_path is null
    or (
        case
            when $1 = 'item' then (item.source_path, item.item_number) <> (own.source_path, own.item_number)
            else item.unit is distinct from own.unit
        end
    )
order by part.source_path, part.item_number
limit 1
