-- The rows of raw.mapped of a mapping that names the item of each of its rows: given is what it gives, items are the items. A row
-- of which there is no item has no item_sha256.
select
    given.* replace (
        item.source as source,
        item.item_sha256 as item_sha256,
        coalesce(given.problem, item._problem) as problem,
        case when given.problem is null then item._detail else given.detail end as detail
    ),
from raw.main.given as given
left join items as item
    on given.source_path = item.source_path and given.item_number = item.item_number
