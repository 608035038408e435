-- Deletes the long texts of records that are gone.
delete from evidence.long_text
where record_key not in (select stored.record_key from evidence.stored_record as stored)
