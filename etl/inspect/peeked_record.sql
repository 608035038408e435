-- The records that are made of items, or have them as parts, with what scoring says of them; see evidence.record, scored.run.
--   category, rule, reasons: see scored.run
--   $places: the places of the items, as path:item
select
    record.* exclude (
        prompt_sha256, prompt_hash, prompt_length, response_length, answer_hash, answer_length, is_answer_empty, has_unparsed_call,
        turn_hash, content_hash, tools_sha256, prompt_end, answer_end, record_key
    ),
    run.category,
    run.rule,
    run.reasons,
from evidence.record as record
left join scored.run as run on record.record_key = run.record_key
where
    list_contains($places, record.source_path || ':' || record.item_number)
    or list_has_any($places, list_transform(record.parts, lambda part: part['source_path'] || ':' || part['item_number']))
order by record.source_path, record.item_number, record.record_number
