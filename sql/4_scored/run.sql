-- One row per record: its category, the rule that decided (the first that applies) and all signals seen.
-- A missing grade is never a negative: it is needs_human_review.
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
    case
        when signal.by_override is not null then signal.by_override
        when signal.by_verdict is not null then signal.by_verdict
        when signal.by_score is not null then signal.by_score
        when signal.by_grounded_fraction is not null then signal.by_grounded_fraction
        when signal.source_class = 'extraction' then coalesce(task_verdict.category, 'needs_human_review')
        when signal.by_markers is not null then signal.by_markers
        else 'needs_human_review'
    end as category,
    case
        when signal.by_override is not null then 'human_override'
        when signal.by_verdict is not null then 'verdict'
        when signal.by_score is not null then 'score'
        when signal.by_grounded_fraction is not null then 'grounded_fraction'
        when signal.source_class = 'extraction' then 'parent'
        when signal.by_markers is not null then 'markers'
        else 'no_signal'
    end as rule,
    case
        when signal.source_class <> 'extraction' then signal.reasons
        when task_verdict.verdicts is null then list_append(signal.reasons, 'parent: none')
        else list_append(signal.reasons, 'parent: ' || coalesce(task_verdict.category, 'disagree'))
    end as reasons,
from scored.signal as signal
left join scored.task_verdict as task_verdict on signal.task_id = task_verdict.task_id
