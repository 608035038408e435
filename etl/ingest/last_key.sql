-- The largest record_key that a record has, or had; 0: none has.
select greatest(
    (select coalesce(max(record_key), 0) from evidence.stored_record),
    (select coalesce(max(record_key), 0) from evidence.long_text)
)
