-- One row per source and reason for which items of it were skipped.
--   source: the source of the items
--   reason: why they were skipped, see evidence.skipped
--   lines: how many items; an unreadable file counts as one
--   first_at: one of them, path:item; the first in the order of that text
select
    source,
    reason,
    count(*) as lines,
    min(source_path || ':' || item_number) as first_at,
from evidence.skipped
group by source, reason
