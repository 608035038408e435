-- One row per content that several records have: the same conversation, or the same prompt and response, as texts are compared. Few
-- contents are shared, so what compares contents looks at these alone, and at scored.shared_turn.
-- key: content_hash.
--   content_hash: the content, see scored.run
--   records: how many records have it
select
    content_hash,
    count(*) as records,
from evidence.stored_record
where source_class <> 'grade'
group by content_hash
having count(*) > 1
