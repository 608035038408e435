-- One row per dataset of records and record whose content, or turn, other records have too: which record of those with equal contents
-- ships. Of those that nothing else keeps out the best category ships, then a conversation before a text, then the first by
-- place.
-- key: content_hash; scored.eligibility, scored.shared_content and scored.shared_turn whole.
--   dataset: the dataset
--   record_key: the record within this warehouse, for joins; see evidence.record
--   turn_hash: its turn, see scored.run; null: no conversation and text share it
--   has_conversation: whether it has a conversation
--   best_key: the record_key of the one that ships; null: none does
--   best_place: its place; null: none ships
with refused as (
    select
        requirement.dataset,
        eligibility.record_key,
    from scored.eligibility as eligibility
    inner join policy.requirement as requirement on eligibility.defect = requirement.defect
),

comparable as ( -- the records of which another has the same content
    select
        run.record_key,
        run.content_hash,
        case when not run.is_response_blank then turn.turn_hash end as turn_hash,
        run.has_conversation,
        run.category,
        struct_pack(source_path := run.source_path, item_number := run.item_number, record_number := run.record_number) as place,
    from scored.run as run
    left join scored.shared_content as content on run.content_hash = content.content_hash
    left join scored.shared_turn as turn on run.turn_hash = turn.turn_hash
    where content.content_hash is not null or turn.turn_hash is not null
),

best as (
    select
        admission.dataset,
        run.content_hash,
        run.record_key,
        run.place,
    from comparable as run
    inner join policy.admission as admission on run.category = admission.category and admission.is_admitted
    inner join policy.dataset as dataset on admission.dataset = dataset.dataset and dataset.grain = 'record'
    inner join policy.category as category on run.category = category.category
    anti join refused on admission.dataset = refused.dataset and run.record_key = refused.record_key
    qualify
        row_number() over (
            partition by admission.dataset, run.content_hash
            order by category.standing desc, run.has_conversation desc, run.place asc
        ) = 1
)

select
    dataset.dataset,
    run.record_key,
    run.turn_hash,
    run.has_conversation,
    best.record_key as best_key,
    best.place as best_place,
from comparable as run
inner join policy.dataset as dataset on dataset.grain = 'record'
left join best on dataset.dataset = best.dataset and run.content_hash = best.content_hash
