-- The skipped lines that an id names; see evidence.skipped.
--   $id: an item_sha256, or a place as path:line
select
    source,
    source_path,
    item_number,
    item_sha256,
    reason,
    detail,
    raw,
from evidence.skipped
where item_sha256 = $id or source_path || ':' || item_number = $id
order by source_path, item_number
