-- One row per source and reason for which lines of it were skipped.
--   source: the source of the lines
--   reason: why they were skipped, see evidence.skipped
--   lines: how many lines; an unreadable file counts as one
--   first_at: one of them, path:line; the first in the order of that text
select
    source,
    reason,
    count(*) as lines,
    min(source_path || ':' || item_number) as first_at,
from evidence.skipped
group by source, reason
