-- One row per dataset of records and record that has the same content as another that ships: an equal one, see
-- datasets.equal_content, or, of a text, that of a conversation with the same turn, to which it gives way whatever its category.
-- key: turn_hash of datasets.equal_content.
--   dataset: the dataset
--   record_key: the record within this warehouse, for joins; see evidence.record
--   detail: the place of the record that ships
with equal as ( -- named once, so that a plain shell computes it once
    from datasets.equal_content
),

conversation as (
    select
        dataset,
        turn_hash,
        min(best_place) as place,
    from equal
    where record_key = best_key and has_conversation and turn_hash is not null
    group by dataset, turn_hash
),

beaten as (
    select
        equal.dataset,
        equal.record_key,
        case
            when conversation.place is not null then conversation.place
            when equal.record_key <> equal.best_key then equal.best_place
        end as place,
    from equal
    left join conversation
        on
            equal.dataset = conversation.dataset
            and equal.turn_hash = conversation.turn_hash
            and not equal.has_conversation
)

select
    dataset,
    record_key,
    'same content as ' || policy.short_place(place.source_path, place.item_number) as detail,
from beaten
where place is not null
