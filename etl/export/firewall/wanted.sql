-- Makes the table of the records that evidence.record has for one cursor, by their record_key: those that rows of temp.written name.
create or replace temp table wanted (record_key bigint)
