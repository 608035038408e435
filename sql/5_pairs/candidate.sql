-- One row per candidate pair. In each group (see pairs.ranked), each of the max_pairs_per_task best chosen records is paired
-- with each of the max_pairs_per_task best rejected ones. Of the clean pairs of a task those are exported first whose ranks are
-- good on both sides.
-- key: task_id.
--   task_id: the task of both records
--   chosen_key: the record_key of the chosen record
--   chosen_source_path: the file of the chosen record
--   chosen_item_number: the item of the chosen record in its file
--   chosen_record_number: the number of the chosen record among those of its item
--   chosen_evidence_id: the evidence_id of the chosen record
--   chosen_run_id: the agent's run that gave the chosen answer
--   chosen_category: the category of the chosen record: accepted
--   chosen_rank: its rank on its side, 1 is best, see pairs.ranked
--   rejected_key: the record_key of the rejected record
--   rejected_source_path: the file of the rejected record
--   rejected_item_number: the item of the rejected record in its file
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
with ranked as ( -- named once, so that a plain shell computes it once
    from pairs.ranked
),

-- What a content is called among others (as), and what those with the same content are called (like): its own hash; and, where a
-- conversation and a text can have the same turn, the turn of the other kind.
name as (
    select
        ranked.record_key,
        ranked.content_hash as called,
        ranked.content_hash as alike,
    from ranked
    inner join scored.shared_content as shared on ranked.content_hash = shared.content_hash
    union all
    select
        ranked.record_key,
        case when ranked.has_conversation then 'c'::blob else 't'::blob end || ranked.turn_hash as called,
        case when ranked.has_conversation then 't'::blob else 'c'::blob end || ranked.turn_hash as alike,
    from ranked
    inner join scored.shared_turn as shared on ranked.turn_hash = shared.turn_hash
    where not ranked.is_response_blank
),

pair as (
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
        chosen.is_prompt_blank,
        chosen.run_id = rejected.run_id as is_one_run,
        chosen.answer_hash = rejected.answer_hash as is_one_answer,
        chosen.content_hash = rejected.content_hash
        or (
            chosen.turn_hash = rejected.turn_hash
            and chosen.has_conversation <> rejected.has_conversation
            and not chosen.is_response_blank
        ) as is_one_content,
        row_number() over (
            partition by chosen.task_id
            order by
                greatest(chosen.rank, rejected.rank) asc,
                chosen.rank + rejected.rank asc,
                chosen.rank asc,
                chosen.score - rejected.score desc nulls last,
                chosen.evidence_id asc,
                rejected.evidence_id asc
        ) as place,
    from ranked as chosen
    inner join ranked as rejected
        on
            chosen.task_id = rejected.task_id
            and chosen.prompt_sha256 is not distinct from rejected.prompt_sha256
            and chosen.tools_sha256 is not distinct from rejected.tools_sha256
            and chosen.comparison is not distinct from rejected.comparison
    cross join policy.setting as setting
    where
        chosen.side = 'chosen'
        and rejected.side = 'rejected'
        and chosen.rank <= setting.max_pairs_per_task
        and rejected.rank <= setting.max_pairs_per_task
),

-- Pairs can contradict or repeat each other only where several records have their contents, which is seldom.
comparable as (
    select
        pair.task_id,
        pair.chosen_key,
        pair.rejected_key,
        pair.place,
        chosen.called as chosen_called,
        chosen.alike as chosen_alike,
        rejected.called as rejected_called,
        rejected.alike as rejected_alike,
    from pair
    inner join name as chosen on pair.chosen_key = chosen.record_key
    inner join name as rejected on pair.rejected_key = rejected.record_key
),

first_such as (
    select
        task_id,
        chosen_called,
        rejected_called,
        min(place) as place,
    from comparable
    group by task_id, chosen_called, rejected_called
),

like_others as (
    select
        comparable.chosen_key,
        comparable.rejected_key,
        coalesce(bool_or(same.place < comparable.place), false) as is_repeated,
        count(reverse.place) > 0 as is_reversed,
    from comparable
    left join first_such as same
        on
            comparable.task_id = same.task_id
            and comparable.chosen_alike = same.chosen_called
            and comparable.rejected_alike = same.rejected_called
    left join first_such as reverse
        on
            comparable.task_id = reverse.task_id
            and comparable.chosen_alike = reverse.rejected_called
            and comparable.rejected_alike = reverse.chosen_called
    group by comparable.chosen_key, comparable.rejected_key
),

compared as (
    select
        pair.*,
        gap.reason as gap,
        coalesce(like_others.is_reversed, false) and not pair.is_one_content as is_reversed,
        coalesce(like_others.is_repeated, false) as is_repeated,
    from pair
    left join like_others
        on pair.chosen_key = like_others.chosen_key and pair.rejected_key = like_others.rejected_key
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
        compared.*,
        case
            when
                compared.gap is not null
                and not (
                    compared.is_prompt_blank
                    or compared.is_reversed
                    or compared.is_repeated
                    or compared.is_one_run
                    or compared.is_one_answer
                )
                then []
            else list_sort(list_filter(
                [
                    struct_pack(
                        precedence := in_order.precedence['contradicted'],
                        reason := case when compared.is_reversed then 'contradicted' end,
                        detail := 'another pair prefers the reverse'
                    ),
                    struct_pack(
                        precedence := in_order.precedence['invalid_preference_pairing'],
                        reason := case
                            when compared.is_prompt_blank or compared.gap is null then 'invalid_preference_pairing'
                        end,
                        detail := case
                            when compared.is_prompt_blank then 'prompt is blank'
                            else compared.chosen_category || ' over ' || compared.rejected_category
                        end
                    ),
                    struct_pack(
                        precedence := in_order.precedence['duplicate_content'],
                        reason := case when compared.is_repeated then 'duplicate_content' end,
                        detail := 'a better pair has the same contents'
                    ),
                    struct_pack(
                        precedence := in_order.precedence['self_pairing'],
                        reason := case when compared.is_one_run or compared.is_one_answer then 'self_pairing' end,
                        detail := concat_ws(
                            ', ',
                            case when compared.is_one_run then 'both sides are of one run' end,
                            case when compared.is_one_answer then 'both sides have one answer' end
                        )
                    )
                ],
                lambda refusal: struct_extract(refusal, 'reason') is not null
            ))
        end as refusals,
    from compared
    cross join in_order
),

ordered as (
    select
        refused.*,
        row_number() over (partition by task_id, len(refusals) = 0 order by place) as place_among_such,
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
        when len(ordered.refusals) > 0 then 'quarantined'
        when ordered.place_among_such > setting.max_pairs_per_task then 'over_cap'
        else 'exported'
    end as outcome,
    ordered.refusals[1].reason as quarantine_reason,
    list_transform(ordered.refusals, lambda refusal: struct_extract(refusal, 'reason')) as quarantine_reasons,
    case
        when len(ordered.refusals) > 0
            then array_to_string(list_transform(ordered.refusals, lambda refusal: struct_extract(refusal, 'detail')), ', ')
    end as detail,
from ordered
cross join policy.setting as setting
