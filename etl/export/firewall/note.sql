-- Adds to raw.main.written the records that written_rows names. The hashes are the engine's, of 64 bits: only this process
-- compares them, and they keep the text out of memory.
--   $side: which record of each row it is
--   $carried: the columns of evidence.record that the dataset carries
insert into raw.main.written
select
    id,
    $side,
    provenance.source_path,
    provenance.item_number,
    provenance.record_number,
    provenance.item_sha256,
    case when list_contains($carried, 'prompt') then hash(prompt) end,
    case when list_contains($carried, 'response') then hash(response) end,
    case when list_contains($carried, 'run_id') then hash(run_id) end,
from written_rows
