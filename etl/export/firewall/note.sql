-- Adds to raw.main.written the records that written_rows names. The hashes are the engine's, of 64 bits: only this process
-- compares them, and they keep the text out of memory.
--   $side: which record of each row it is
insert into raw.main.written
select
    id,
    $side,
    provenance.source_path,
    provenance.line_number,
    provenance.line_sha256,
    hash(response),
    hash(prompt, response, run_id),
from written_rows
