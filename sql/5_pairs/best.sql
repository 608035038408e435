-- One row per eligible record: on which side of a preference it can stand, and how good it is there among those of its task and prompt.
-- A side is chosen, rejected, or null (needs_human_review; partially_accepted where an eligible rejected record shares task and prompt).
-- Only records with a side are ranked: score, then age, then evidence_id.
with eligible as (
    select
        run.source_path,
        run.line_number,
        run.evidence_id,
        run.task_id,
        record.prompt,
        run.category,
        record.score,
        run.created_at,
        bool_or(run.category = 'rejected') over (partition by run.task_id, record.prompt) as has_rejected,
    from scored.run as run
    inner join scored.defect as defect
        on run.source_path = defect.source_path and run.line_number = defect.line_number
    inner join evidence.record as record
        on run.source_path = record.source_path and run.line_number = record.line_number
    where defect.is_eligible
),

sided as (
    select
        eligible.*,
        case
            when category = 'accepted' then 'chosen'
            when category = 'rejected' then 'rejected'
            when category = 'partially_accepted' and not has_rejected then 'rejected'
        end as side,
    from eligible
)

select
    source_path,
    line_number,
    evidence_id,
    task_id,
    prompt,
    category,
    side,
    case
        when side is not null
            then row_number() over (
                partition by task_id, prompt, side
                order by score desc nulls last, created_at asc nulls last, evidence_id asc
            )
    end as rank,
from sided
