-- Makes the table of the records that the rows of one dataset's files name: one for each row of records, two for each pair. Of
-- what a row carries it holds hashes, of the engine and of 64 bits: only this process compares them, and they keep the text out
-- of memory.
--   id: the id of the written row
--   side: chosen or rejected; record where the row is made from one record. A prompt has the side record, each of its answers
--       the side answer
--   place: a hash of the place of the record, as the row says it: file, item number and record number
--   split: the side of the split that the row names
--   item_sha256: the hash of the record's item, as the row says it
--   source to created_at: a hash of each of these (messages and tools of a row made from one record; prompt_messages,
--       answer_messages and pair_tools of a pair that has messages, the first and the last of a prompt too) of the record that the row carries; null where the dataset does not carry it
--   has_messages: whether a pair has messages; null where the dataset does not carry them
--   pair_created_at, reason: a hash of the time and the reason of a pair; null where the dataset does not carry it
create or replace temp table written (
    id varchar,
    side varchar,
    place ubigint,
    split varchar,
    item_sha256 ubigint,
    source ubigint,
    task_id ubigint,
    run_id ubigint,
    model ubigint,
    title ubigint,
    prompt ubigint,
    response ubigint,
    messages ubigint,
    tools ubigint,
    prompt_messages ubigint,
    answer_messages ubigint,
    pair_tools ubigint,
    category ubigint,
    created_at ubigint,
    has_messages boolean,
    pair_created_at ubigint,
    reason ubigint
)
