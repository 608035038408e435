-- The first items that records are made of, or that were skipped, in the order of the evidence.
--   source_path, item_number: the place of the item; item 0 is a file as a whole
--   $most: how many
select
    source_path,
    item_number,
from (
    select
        source_path,
        item_number,
    from evidence.record
    union
    select
        source_path,
        item_number,
    from evidence.skipped
) as item
order by source_path, item_number
limit $most
