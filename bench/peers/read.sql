-- The baseline: what a good engineer would write in plain DuckDB for the bench's evidence. It gives the product's rows (but for ids)
-- by the product's rules, without what the product adds: strict reading, reasons for skipped lines, validation, re-reading, receipts.
-- script.py runs read.sql, compare.sql, rules.sql and outputs.sql, and writes the views of the last. It sets the variable "evidence",
-- and makes the table "digest" (the sha256 of each line, and 64 bits of it) before the rules.
--
-- Texts stand in two tables, line and talk, and are joined when an output is written. All that is compared, grouped or sorted is an
-- integer: 64 bits of a hash (hash() takes a sixth of the time of md5 and a tenth of that of sha256; of a million texts two would be
-- taken for one in one of 30 million runs). There is one file, so the number of a line is its place.
--
-- An id is the sha256 of the line, or one over those of both lines of a pair. The product's ids would be three more hashes a record.
set timezone = 'UTC';

-- One scan, with types. What cannot be read is a row of nulls, so rowid + 1 is the number of a line.

create table line as
from read_ndjson(
    getvariable('evidence'),
    ignore_errors = true,
    columns = {
        run_id: 'VARCHAR', task_id: 'VARCHAR', created_at: 'TIMESTAMPTZ', model: 'VARCHAR', prompt: 'VARCHAR', response: 'VARCHAR',
        messages: 'JSON[]', tools: 'VARCHAR', verdict: 'VARCHAR', score: 'DOUBLE', comparison: 'VARCHAR', latency_ms: 'DOUBLE',
        cost_usd: 'DOUBLE', prompt_tokens: 'BIGINT', completion_tokens: 'BIGINT'
    }
);
