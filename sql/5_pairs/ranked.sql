-- One row per eligible record that can stand on a side of a preference, ranked among those of its task, prompt and side.
-- A record that needs human review has no side. Nor has a partially accepted one if an eligible rejected record shares its task
-- and prompt.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   source_path: the file of the line, relative to the evidence folder
--   item_number: the number of the line in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   evidence_id: the record across warehouses; equal for identical lines
--   run_id: the agent's run at the task
--   task_id: the task
--   prompt: the task as given to the agent; null: not recorded
--   response_hash: a hash of the response; two different hashes mean two different responses
--   category: accepted, partially_accepted or rejected
--   side: chosen (accepted) or rejected (rejected, or partially accepted)
--   rank: 1 is best: by score (highest first, null last), created_at (oldest first, null last), evidence_id
with eligible as not materialized (
    select
        record.record_key,
        record.source_path,
        record.item_number,
        record.record_number,
        record.evidence_id,
        record.run_id,
        record.task_id,
        record.prompt,
        record.response,
        run.category,
        record.score,
        record.created_at,
    from evidence.record as record
    inner join scored.run as run on record.record_key = run.record_key
    where not exists (
        select 1
        from scored.eligibility as eligibility
        inner join policy.requirement as requirement on eligibility.defect = requirement.defect
        inner join policy.dataset as dataset on requirement.dataset = dataset.dataset
        where record.record_key = eligibility.record_key and dataset.grain = 'pair'
    )
),

-- Few prompts have an eligible rejected record, so a join with them is cheaper than a window over all records.
with_rejected as (
    select distinct
        task_id,
        prompt,
    from eligible
    where category = 'rejected'
),

sided as (
    select
        eligible.* exclude (response),
        hash(eligible.response) as response_hash,
        case when eligible.category = 'accepted' then 'chosen' else 'rejected' end as side,
    from eligible
    left join with_rejected
        on eligible.task_id = with_rejected.task_id and eligible.prompt is not distinct from with_rejected.prompt
    where
        eligible.category in ('accepted', 'rejected')
        or (eligible.category = 'partially_accepted' and with_rejected.task_id is null)
)

select
    record_key,
    source_path,
    item_number,
    record_number,
    evidence_id,
    run_id,
    task_id,
    prompt,
    response_hash,
    category,
    side,
    row_number() over (
        partition by task_id, prompt, side
        order by score desc nulls last, created_at asc nulls last, evidence_id asc
    ) as rank,
from sided
