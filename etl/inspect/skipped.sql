-- The skipped lines that an id names; see evidence.skipped.
--   $id: a line_sha256, or a place as path:line
select
    source,
    source_path,
    line_number,
    line_sha256,
    reason,
    detail,
    raw,
from evidence.skipped
where line_sha256 = $id or source_path || ':' || line_number = $id
order by source_path, line_number
