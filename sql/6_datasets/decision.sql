-- One row per dataset of records and scored record: whether it ships in that dataset, and if not, why. A row carries no text,
-- so that rows are judged and counted in little memory; the dataset's own view adds the text.
-- key: task_id; datasets.duplicate, evidence.part and scored.task_group whole.
--   dataset: the dataset, see policy.dataset
--   id: the row's id in the dataset: sha256 hex of the dataset's name and evidence_id, joined by 0x1F
--   category: its category, see scored.run
--   quarantine_reason: the first reason why it does not ship; null: it ships
--   quarantine_reasons: all reasons why it does not ship, in the order of policy.reason; empty: it ships
--   detail: where the first reason was found, such as cited_paths[2], the place of another record or the category; null: it ships
--   split: train, validation or test, see scored.task_group
--   part: the part of the dataset in which the row lies, see evidence.part
--   record_key: the record within this warehouse, for joins; see evidence.record
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
with refusal as (
    select
        requirement.dataset,
        eligibility.record_key,
        reason.precedence,
        requirement.reason,
        string_agg(eligibility.detail, ', ' order by requirement.position) as detail,
    from scored.eligibility as eligibility
    inner join policy.requirement as requirement on eligibility.defect = requirement.defect
    left join policy.reason as reason on requirement.reason = reason.name
    group by requirement.dataset, eligibility.record_key, reason.precedence, requirement.reason
    union all
    select
        duplicate.dataset,
        duplicate.record_key,
        reason.precedence,
        reason.name as reason,
        duplicate.detail,
    from datasets.duplicate as duplicate
    inner join policy.reason as reason on reason.name = 'duplicate_content'
),

-- Few records are refused for more than their category.
refused as (
    select
        dataset,
        record_key,
        list(
            struct_pack(precedence := precedence, reason := reason, detail := detail)
            order by precedence
        ) as refusals,
    from refusal
    group by dataset, record_key
),

judged as (
    select
        dataset.dataset,
        part.part,
        task_group.split,
        run.record_key,
        run.source_path,
        run.item_number,
        run.record_number,
        run.evidence_id,
        run.category,
        refused.refusals as by_defect,
        case
            when not coalesce(admission.is_admitted, false)
                then [
                    struct_pack(
                        precedence := coalesce(reason.precedence, 0),
                        -- a category without a row in policy.admission is never admitted
                        reason := coalesce(admission.reason, 'unsafe_' || dataset.dataset || '_category'),
                        detail := run.category
                    )
                ]
            else []
        end as by_category,
    from policy.dataset as dataset
    cross join scored.run as run
    inner join evidence.part as part on run.source_path = part.source_path and run.item_number // 16 = part.block
    left join scored.task_group as task_group on run.task_id = task_group.task_id
    left join policy.admission as admission
        on dataset.dataset = admission.dataset and run.category = admission.category
    left join policy.reason as reason on admission.reason = reason.name
    left join refused on dataset.dataset = refused.dataset and run.record_key = refused.record_key
    where dataset.grain = 'record'
),

ordered as (
    select
        *,
        case when by_defect is null then by_category else list_sort(list_concat(by_defect, by_category)) end as refusals,
    from judged
)

select
    dataset,
    sha256(concat(dataset, chr(31), evidence_id)) as id,
    category,
    refusals[1].reason as quarantine_reason,
    list_transform(refusals, lambda refusal: refusal.reason) as quarantine_reasons,
    policy.short(refusals[1].detail, 200) as detail,
    split,
    part,
    record_key,
    source_path,
    item_number,
    record_number,
from ordered
