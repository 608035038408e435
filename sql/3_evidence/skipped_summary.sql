-- One row per source and reason: how many of its lines were skipped, and where the first one is.
select
    source,
    reason,
    count(*) as lines,
    min(source_path || ':' || line_number) as first_at,
from evidence.skipped
group by source, reason
