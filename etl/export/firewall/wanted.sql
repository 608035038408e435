-- Makes the table of the records that evidence.record has for one cursor: those that rows of temp.written name.
--   record_key: the record, see evidence.record
--   prompt_messages, answer_messages: whether a row carries these of it: it takes long to make messages of texts
create or replace temp table wanted (
    record_key bigint,
    prompt_messages boolean,
    answer_messages boolean
)
