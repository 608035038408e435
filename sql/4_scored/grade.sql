-- One row per record: the category that each scoring rule would give it on its own (null: the rule has nothing to say).
-- Who the record is stands beside it, so that scored.run need not join the two.
-- The extraction rule (parent) is not here: it asks other records of the task, see scored.parent and scored.run.
with signal as (
    select
        record.record_key,
        record.source_path,
        record.line_number,
        record.line_sha256,
        record.evidence_id,
        record.source,
        record.source_class,
        record.run_id,
        record.task_id,
        record.created_at,
        record.model,
        record.human_override,
        case when not policy.is_blank(record.verdict) then lower(policy.trimmed(record.verdict)) end as verdict,
        record.score,
        record.grounded_fraction,
        coalesce(record.success_markers, []) as success_markers,
        coalesce(record.failure_markers, []) as failure_markers,
    from evidence.record as record
)

select
    signal.record_key,
    signal.source_path,
    signal.line_number,
    signal.line_sha256,
    signal.evidence_id,
    signal.source,
    signal.source_class,
    signal.run_id,
    signal.task_id,
    signal.created_at,
    signal.model,
    signal.human_override as by_override,
    case when signal.verdict is not null then coalesce(word.category, 'needs_human_review') end as by_verdict,
    case
        when signal.score is null then null
        when signal.score not between 0 and 1 then 'needs_human_review'
        when signal.score >= setting.accept_at then 'accepted'
        when signal.score >= setting.partial_at then 'partially_accepted'
        else 'rejected'
    end as by_score,
    case
        when signal.grounded_fraction is null then null
        when signal.grounded_fraction not between 0 and 1 then 'needs_human_review'
        when signal.grounded_fraction >= setting.grounded_accept_at then 'accepted'
        when signal.grounded_fraction >= setting.grounded_partial_at then 'partially_accepted'
        else 'rejected'
    end as by_grounded_fraction,
    case
        when len(signal.success_markers) > 0 and len(signal.failure_markers) > 0 then 'partially_accepted'
        when len(signal.success_markers) > 0 then 'accepted'
        when len(signal.failure_markers) > 0 then 'rejected'
    end as by_markers,
    list_concat(
        list_filter(
            [
                'human_override: ' || signal.human_override,
                'verdict: ' || signal.verdict,
                'score: ' || signal.score,
                'grounded_fraction: ' || signal.grounded_fraction
            ],
            lambda reason: reason is not null
        ),
        list_transform(signal.success_markers, lambda marker: 'success: ' || marker),
        list_transform(signal.failure_markers, lambda marker: 'failure: ' || marker)
    ) as reasons,
from signal
cross join policy.setting as setting
left join policy.verdict as word on signal.verdict = word.verdict
