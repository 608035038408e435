-- What a text names, and which records: a row for each kind of name that it is.
--   kind: evidence_id, item_sha256, id (of a row of a dataset), run_id, task_id, or path:item (of the record's item, or a part)
--   keys: the record_key of each record that has this name
--   $id: the text
--   $places: the places that it can mean, as path:item
with named as (
    select
        1 as position,
        'evidence_id' as kind,
        record_key,
    from evidence.stored_record
    where evidence_id = $id
    union all
    select
        2 as position,
        'item_sha256' as kind,
        record_key,
    from evidence.stored_record
    where item_sha256 = $id
    union all
    select
        3 as position,
        'id' as kind,
        record_key,
    from datasets.decision
    where id = $id
    union all
    select
        4 as position,
        'run_id' as kind,
        record_key,
    from evidence.stored_record
    where run_id = $id
    union all
    select
        5 as position,
        'task_id' as kind,
        record_key,
    from evidence.stored_record
    where task_id = $id
    union all
    select
        6 as position,
        'path:item' as kind,
        record_key,
    from evidence.stored_record
    where
        list_contains($places, source_path || ':' || item_number)
        or list_has_any($places, list_transform(parts, lambda part: part['source_path'] || ':' || part['item_number']))
)

select
    kind,
    list(record_key order by record_key) as keys,
from named
group by position, kind
order by position
