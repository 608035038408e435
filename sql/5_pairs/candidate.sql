-- One row per candidate pair. In each task and prompt, each of the max_pairs_per_task best chosen records is paired with each
-- of the max_pairs_per_task best rejected ones. Of the clean pairs of a task those are exported first whose ranks are good on
-- both sides.
--   task_id: the task of both records
--   chosen_key: the record_key of the chosen record
--   chosen_source_path: the file of the chosen record
--   chosen_item_number: the line of the chosen record in its file
--   chosen_record_number: the number of the chosen record among those of its item
--   chosen_evidence_id: the evidence_id of the chosen record
--   chosen_run_id: the agent's run that gave the chosen answer
--   chosen_category: the category of the chosen record: accepted
--   chosen_rank: its rank on its side, 1 is best, see pairs.ranked
--   rejected_key: the record_key of the rejected record
--   rejected_source_path: the file of the rejected record
--   rejected_item_number: the line of the rejected record in its file
--   rejected_record_number: the number of the rejected record among those of its item
--   rejected_evidence_id: the evidence_id of the rejected record
--   rejected_run_id: the agent's run that gave the rejected answer
--   rejected_category: the category of the rejected record: rejected or partially_accepted
--   rejected_rank: its rank on its side, 1 is best, see pairs.ranked
--   gap: the name of the gap between the categories, see policy.pairing; null: they make no preference
--   outcome: exported, quarantined, or over_cap (clean, but max_pairs_per_task better pairs of the task are exported)
--   quarantine_reason: the first reason why the pair is quarantined; null: it is clean
--   quarantine_reasons: all reasons, in the order of policy.reason; empty: it is clean
--   detail: what is wrong, in words; null: it is clean
with pair as (
    select
        chosen.task_id,
        chosen.record_key as chosen_key,
        chosen.source_path as chosen_source_path,
        chosen.item_number as chosen_item_number,
        chosen.record_number as chosen_record_number,
        chosen.evidence_id as chosen_evidence_id,
        chosen.run_id as chosen_run_id,
        chosen.category as chosen_category,
        chosen.rank as chosen_rank,
        rejected.record_key as rejected_key,
        rejected.source_path as rejected_source_path,
        rejected.item_number as rejected_item_number,
        rejected.record_number as rejected_record_number,
        rejected.evidence_id as rejected_evidence_id,
        rejected.run_id as rejected_run_id,
        rejected.category as rejected_category,
        rejected.rank as rejected_rank,
        chosen.run_id = rejected.run_id as is_one_run,
        chosen.response_hash = rejected.response_hash as may_have_one_text,
        policy.is_blank(chosen.prompt) as has_no_prompt,
    from pairs.ranked as chosen
    inner join pairs.ranked as rejected
        on chosen.task_id = rejected.task_id and chosen.prompt is not distinct from rejected.prompt
    cross join policy.setting as setting
    where
        chosen.side = 'chosen'
        and rejected.side = 'rejected'
        and chosen.rank <= setting.max_pairs_per_task
        and rejected.rank <= setting.max_pairs_per_task
),

-- Different hashes mean different texts; equal hashes prove nothing, so for those pairs the texts themselves are compared.
with_one_text as (
    select
        pair.chosen_key,
        pair.rejected_key,
    from pair
    inner join evidence.record as chosen on pair.chosen_key = chosen.record_key
    inner join evidence.record as rejected on pair.rejected_key = rejected.record_key
    where pair.may_have_one_text and chosen.response = rejected.response
),

judged as (
    select
        pair.*,
        gap.reason as gap,
        list_filter(
            [
                case
                    when pair.has_no_prompt then 'prompt is blank'
                    when gap.reason is null then pair.chosen_category || ' over ' || pair.rejected_category
                end,
                case when pair.is_one_run then 'both sides are of one run' end,
                case when with_one_text.chosen_key is not null then 'both sides have one text' end
            ],
            lambda detail: detail is not null
        ) as details,
        case when pair.has_no_prompt or gap.reason is null then 'invalid_preference_pairing' end as invalid,
        case when pair.is_one_run or with_one_text.chosen_key is not null then 'self_pairing' end as self_paired,
    from pair
    left join with_one_text
        on pair.chosen_key = with_one_text.chosen_key and pair.rejected_key = with_one_text.rejected_key
    left join policy.pairing as gap
        on pair.chosen_category = gap.chosen_category and pair.rejected_category = gap.rejected_category
),

-- The order of the reasons as one map, because few pairs need it.
in_order as (
    select map(list(name), list(precedence)) as precedence
    from policy.reason
),

refused as (
    select
        judged.*,
        case
            when judged.invalid is null and judged.self_paired is null then []
            else list_transform(
                list_sort(list_filter(
                    [
                        struct_pack(precedence := in_order.precedence[judged.invalid], reason := judged.invalid),
                        struct_pack(precedence := in_order.precedence[judged.self_paired], reason := judged.self_paired)
                    ],
                    lambda refusal: struct_extract(refusal, 'reason') is not null
                )),
                lambda refusal: struct_extract(refusal, 'reason')
            )
        end as quarantine_reasons,
    from judged
    cross join in_order
),

ordered as (
    select
        refused.*,
        row_number() over (
            partition by task_id, len(quarantine_reasons) = 0
            order by
                greatest(chosen_rank, rejected_rank),
                chosen_rank + rejected_rank,
                chosen_rank,
                chosen_evidence_id,
                rejected_evidence_id
        ) as place,
    from refused
)

select
    ordered.task_id,
    ordered.chosen_key,
    ordered.chosen_source_path,
    ordered.chosen_item_number,
    ordered.chosen_record_number,
    ordered.chosen_evidence_id,
    ordered.chosen_run_id,
    ordered.chosen_category,
    ordered.chosen_rank,
    ordered.rejected_key,
    ordered.rejected_source_path,
    ordered.rejected_item_number,
    ordered.rejected_record_number,
    ordered.rejected_evidence_id,
    ordered.rejected_run_id,
    ordered.rejected_category,
    ordered.rejected_rank,
    ordered.gap,
    case
        when len(ordered.quarantine_reasons) > 0 then 'quarantined'
        when ordered.place > setting.max_pairs_per_task then 'over_cap'
        else 'exported'
    end as outcome,
    ordered.quarantine_reasons[1] as quarantine_reason,
    ordered.quarantine_reasons,
    case when len(ordered.details) > 0 then array_to_string(ordered.details, ', ') end as detail,
from ordered
cross join policy.setting as setting
