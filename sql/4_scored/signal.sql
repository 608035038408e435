-- One row per record, also of the class grade: the category that each scoring rule alone would give it by its own signals. The rules
-- human_override and parent are not here, because they depend on other records, see scored.attempt_override and
-- scored.run. The columns that identify the record are here so that the views above need no join.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   item_sha256: sha256 hex of the item's bytes, of a line without the line feed
--   evidence_id: the record across warehouses; equal for identical items
--   source: the source, which is the name of its mapping
--   source_class: verdict, telemetry, experiment, extraction or grade
--   run_id: the agent's run at the task; null: the item names none
--   task_id: the task that the agent worked on; null: a grade names none
--   created_at: the time that the item gives, UTC; null: it gives none
--   model: the model, as the source spells it; null: not named
--   content_hash: the content of the record: equal where conversations are, or prompt and response, as texts are compared
--   turn_hash: its turn: equal where prompt and response are, as texts are compared
--   has_conversation: whether it has a conversation
--   is_response_blank: whether its response is blank
--   comparison: the scale or contest of its scores and verdicts; null: they compare within the task
--   score: its score; null: none
--   by_infrastructure_error: needs_human_review where something broke on the machine's side; null: nothing did
--   by_verdict: the category of its verdict in policy.verdict, or needs_human_review if it is not listed; null: no verdict
--   is_verdict_known: whether its verdict is listed; null: no verdict
--   by_score: the category of its score by accept_at and partial_at, or needs_human_review outside 0 to 1; null: no score
--   by_grounded_fraction: the same by grounded_accept_at and grounded_partial_at; null: no grounded fraction
--   has_success: whether it has markers of success
--   has_failure: whether it has markers of failure
--   by_markers: accepted (success alone), rejected (failure alone) or partially_accepted (both); null: no marker
--   reasons: each signal as text, such as "score: 0.95", in the order of the rules; empty: it has none
with normalised as (
    select
        record.record_key,
        record.source_path,
        record.item_number,
        record.record_number,
        record.item_sha256,
        record.evidence_id,
        record.source,
        record.source_class,
        record.run_id,
        record.task_id,
        record.created_at,
        record.model,
        record.content_hash,
        record.turn_hash,
        record.answer_end is not null as has_conversation,
        record.response_length = 0 as is_response_blank,
        record.comparison,
        record.infrastructure_error,
        policy.verdict_word(record.verdict) as verdict,
        record.score,
        record.grounded_fraction,
        coalesce(record.success_markers, []) as success_markers,
        coalesce(record.failure_markers, []) as failure_markers,
    from evidence.stored_record as record
)

select
    normalised.record_key,
    normalised.source_path,
    normalised.item_number,
    normalised.record_number,
    normalised.item_sha256,
    normalised.evidence_id,
    normalised.source,
    normalised.source_class,
    normalised.run_id,
    normalised.task_id,
    normalised.created_at,
    normalised.model,
    normalised.content_hash,
    normalised.turn_hash,
    normalised.has_conversation,
    normalised.is_response_blank,
    normalised.comparison,
    normalised.score,
    case when not policy.is_blank(normalised.infrastructure_error) then 'needs_human_review' end as by_infrastructure_error,
    case when normalised.verdict is not null then coalesce(word.category, 'needs_human_review') end as by_verdict,
    case when normalised.verdict is not null then word.category is not null end as is_verdict_known,
    case
        when normalised.score is null then null
        when normalised.score not between 0 and 1 then 'needs_human_review'
        when normalised.score >= setting.accept_at then 'accepted'
        when normalised.score >= setting.partial_at then 'partially_accepted'
        else 'rejected'
    end as by_score,
    case
        when normalised.grounded_fraction is null then null
        when normalised.grounded_fraction not between 0 and 1 then 'needs_human_review'
        when normalised.grounded_fraction >= setting.grounded_accept_at then 'accepted'
        when normalised.grounded_fraction >= setting.grounded_partial_at then 'partially_accepted'
        else 'rejected'
    end as by_grounded_fraction,
    len(normalised.success_markers) > 0 as has_success,
    len(normalised.failure_markers) > 0 as has_failure,
    case
        when has_success and has_failure then 'partially_accepted'
        when has_success then 'accepted'
        when has_failure then 'rejected'
    end as by_markers,
    list_concat(
        list_filter(
            [
                case
                    when not policy.is_blank(normalised.infrastructure_error)
                        then 'infrastructure_error: ' || normalised.infrastructure_error
                end,
                'verdict: ' || normalised.verdict,
                'score: ' || normalised.score,
                'grounded_fraction: ' || normalised.grounded_fraction
            ],
            lambda reason: reason is not null
        ),
        list_transform(normalised.success_markers, lambda marker: 'success: ' || marker),
        list_transform(normalised.failure_markers, lambda marker: 'failure: ' || marker)
    ) as reasons,
from normalised
cross join policy.setting as setting
left join policy.verdict as word on normalised.verdict = word.verdict
