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
    from scored.run as run
    inner join scored.defect as defect
        on run.source_path = defect.source_path and run.line_number = defect.line_number
    inner join evidence.record as record
        on run.source_path = record.source_path and run.line_number = record.line_number
    where defect.is_eligible
),

-- The prompts that have an eligible rejected record: few, so that a join with them is cheaper than a window over all records.
with_rejected as (
    select distinct
        task_id,
        prompt,
    from eligible
    where category = 'rejected'
),

sided as (
    select
        eligible.*,
        case
            when eligible.category = 'accepted' then 'chosen'
            when eligible.category = 'rejected' then 'rejected'
            when eligible.category = 'partially_accepted' and with_rejected.task_id is null then 'rejected'
        end as side,
    from eligible
    left join with_rejected
        on eligible.task_id = with_rejected.task_id and eligible.prompt is not distinct from with_rejected.prompt
),

ranked as (
    select
        sided.*,
        row_number() over (
            partition by task_id, prompt, side
            order by score desc nulls last, created_at asc nulls last, evidence_id asc
        ) as rank,
    from sided
    where side is not null
    union all by name
    select * from sided
    where side is null
)

select
    source_path,
    line_number,
    evidence_id,
    task_id,
    prompt,
    category,
    side,
    rank,
from ranked
