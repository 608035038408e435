-- Makes the table of the records that the rows of one dataset's files name: one for each row of records, two for each pair.
--   id: the id of the written row
--   side: chosen or rejected; record where the row is made from one record
--   source_path: the file of the record's line, as the row says it
--   item_number: the number of the line, as the row says it
--   record_number: the number of the record among those of its item, as the row says it
--   item_sha256: the hash of the line, as the row says it
--   prompt, response, run_id: a hash of each of these that the row carries; null where the dataset does not carry it
create or replace table raw.main.written (
    id varchar,
    side varchar,
    source_path varchar,
    item_number bigint,
    record_number bigint,
    item_sha256 varchar,
    prompt ubigint,
    response ubigint,
    run_id ubigint
)
