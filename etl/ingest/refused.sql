-- The rows of evidence.skipped for the lines that their mapping gives no good record: bad_lines, with the lines themselves.
select
    bad.source,
    bad.source_path,
    bad.item_number,
    bad.item_sha256,
    bad.problem as reason,
    encode(line.json) as raw,
from bad_lines as bad
inner join raw.item as line on bad.source_path = line.source_path and bad.item_number = line.item_number
