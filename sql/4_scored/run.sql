-- One row per record: its category, the rule that decided (the first that applies) and all signals seen.
-- A missing grade is never a negative: it is needs_human_review.
select
    grade.record_key,
    grade.source_path,
    grade.line_number,
    grade.line_sha256,
    grade.evidence_id,
    grade.source,
    grade.source_class,
    grade.run_id,
    grade.task_id,
    grade.created_at,
    grade.model,
    case
        when grade.by_override is not null then grade.by_override
        when grade.by_verdict is not null then grade.by_verdict
        when grade.by_score is not null then grade.by_score
        when grade.by_grounded_fraction is not null then grade.by_grounded_fraction
        when grade.source_class = 'extraction' then coalesce(parent.category, 'needs_human_review')
        when grade.by_markers is not null then grade.by_markers
        else 'needs_human_review'
    end as category,
    case
        when grade.by_override is not null then 'human_override'
        when grade.by_verdict is not null then 'verdict'
        when grade.by_score is not null then 'score'
        when grade.by_grounded_fraction is not null then 'grounded_fraction'
        when grade.source_class = 'extraction' then 'parent'
        when grade.by_markers is not null then 'markers'
        else 'no_signal'
    end as rule,
    case
        when grade.source_class <> 'extraction' then grade.reasons
        when parent.verdicts is null then list_append(grade.reasons, 'parent: none')
        else list_append(grade.reasons, 'parent: ' || coalesce(parent.category, 'disagree'))
    end as reasons,
from scored.grade as grade
left join scored.parent as parent on grade.task_id = parent.task_id
