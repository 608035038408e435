-- The skipped items that a text names; see evidence.skipped.
--   $id: an item_sha256
--   $places: places, as path:item
select
    source,
    source_path,
    item_number,
    item_sha256,
    reason,
    detail,
    raw,
from evidence.skipped
where item_sha256 = $id or list_contains($places, source_path || ':' || item_number)
order by source_path, item_number
