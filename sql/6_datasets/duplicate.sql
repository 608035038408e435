-- One row per dataset of records and record that has the same content as another that ships. Of those with equal contents, which
-- nothing else keeps out, the best category ships, then a conversation before a text, then the first by place. A text gives way to a
-- conversation with the same turn that ships.
-- key: content_hash, then turn_hash; scored.eligibility whole.
--   dataset: the dataset
--   record_key: the record within this warehouse, for joins; see evidence.record
--   detail: the place of the record that ships
with refused as (
    select
        requirement.dataset,
        eligibility.record_key,
    from scored.eligibility as eligibility
    inner join policy.requirement as requirement on eligibility.defect = requirement.defect
),

comparable as ( -- the records of which another has the same content
    select
        run.*,
        content.content_hash is not null as is_content_shared,
        turn.turn_hash is not null and not run.is_response_blank as is_turn_shared,
    from scored.run as run
    left join scored.shared_content as content on run.content_hash = content.content_hash
    left join scored.shared_turn as turn on run.turn_hash = turn.turn_hash
    where content.content_hash is not null or turn.turn_hash is not null
),

clean as (
    select
        admission.dataset,
        run.record_key,
        run.content_hash,
        run.turn_hash,
        run.has_conversation,
        run.is_turn_shared,
        category.standing,
        struct_pack(source_path := run.source_path, item_number := run.item_number, record_number := run.record_number) as place,
    from comparable as run
    inner join policy.admission as admission on run.category = admission.category and admission.is_admitted
    inner join policy.dataset as dataset on admission.dataset = dataset.dataset and dataset.grain = 'record'
    inner join policy.category as category on run.category = category.category
    anti join refused on admission.dataset = refused.dataset and run.record_key = refused.record_key
),

best as ( -- of equal contents the one that would ship
    select *
    from clean
    qualify
        row_number() over (
            partition by dataset, content_hash
            order by standing desc, has_conversation desc, place asc
        ) = 1
),

conversation as ( -- those that ship, of each turn that texts have too
    select
        dataset,
        turn_hash,
        min(place) as place,
    from best
    where has_conversation and is_turn_shared
    group by dataset, turn_hash
),

found as ( -- of each other record with the same content, the record that ships
    select
        best.dataset,
        comparable.record_key,
        coalesce(conversation.place, best.place) as place,
    from best
    inner join comparable on best.content_hash = comparable.content_hash and best.record_key <> comparable.record_key
    left join conversation
        on
            best.dataset = conversation.dataset
            and best.turn_hash = conversation.turn_hash
            and not best.has_conversation
    union all
    select
        conversation.dataset,
        comparable.record_key,
        conversation.place,
    from comparable
    inner join conversation
        on
            comparable.turn_hash = conversation.turn_hash
            and not comparable.has_conversation
            and comparable.is_turn_shared
)

select
    dataset,
    record_key,
    'same content as ' || min(place).source_path || ':' || min(place).item_number as detail,
from found
group by dataset, record_key
