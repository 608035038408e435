-- One row per dataset of records and record that only its content keeps out: another record with the same content ships. Of those
-- with one content, which nothing else keeps out, the best category ships, and of one category the first by place.
-- key: content_hash; scored.eligibility whole.
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

clean as (
    select
        admission.dataset,
        run.record_key,
        run.content_hash,
        category.standing,
        run.source_path,
        run.item_number,
        run.record_number,
    from scored.run as run
    inner join scored.shared_content as shared on run.content_hash = shared.content_hash
    inner join policy.admission as admission on run.category = admission.category and admission.is_admitted
    inner join policy.dataset as dataset on admission.dataset = dataset.dataset and dataset.grain = 'record'
    inner join policy.category as category on run.category = category.category
    anti join refused on admission.dataset = refused.dataset and run.record_key = refused.record_key
),

numbered as (
    select
        dataset,
        record_key,
        row_number() over same_content as place,
        first_value(policy.short_place(source_path, item_number)) over same_content as shipped_at,
    from clean
    window same_content as (
        partition by dataset, content_hash
        order by standing desc, source_path asc, item_number asc, record_number asc
    )
)

select
    dataset,
    record_key,
    'same content as ' || shipped_at as detail,
from numbered
where place > 1
