-- One row per scored record: what pairing did with it.
-- key: task_id.
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   evidence_id: the record across warehouses; equal for identical items
--   task_id: the task
--   category: its category, see scored.run
--   outcome: ineligible (see pairs.eligible), not_a_side (its category has no side), no_counterpart (its task has
--       no record on the other side), prompt_differs (none of those has the messages of its prompt and its tools), not_comparable
--       (none of those is in its comparison), paired (it is in an exported pair),
--       over_cap (a clean pair of it is over the cap, or it is not among the best, which are paired) or refused (all its pairs
--       are quarantined)
with ranked as ( -- each relation is named once, so that a plain shell computes it once
    from pairs.ranked
),

candidate as (
    from pairs.candidate
),

of_task as (
    select
        task_id,
        count(*) filter (where side = 'chosen') as chosen,
        count(*) filter (where side = 'rejected') as rejected,
    from ranked
    group by task_id
),

of_prompt as (
    select
        task_id,
        prompt_sha256,
        tools_sha256,
        count(*) filter (where side = 'chosen') as chosen,
        count(*) filter (where side = 'rejected') as rejected,
    from ranked
    group by task_id, prompt_sha256, tools_sha256
),

-- A record that has counterparts can be in no pair only where a side has more records than the window takes.
of_crowded_group as (
    select
        task_id,
        prompt_sha256,
        tools_sha256,
        comparison,
        count(*) filter (where side = 'chosen') as chosen,
        count(*) filter (where side = 'rejected') as rejected,
    from ranked
    group by task_id, prompt_sha256, tools_sha256, comparison
    having max(rank) > (select max_pairs_per_task from policy.setting)
),

counted as (
    select
        ranked.record_key,
        case when ranked.side = 'chosen' then of_task.rejected else of_task.chosen end as counterparts_of_task,
        case when ranked.side = 'chosen' then of_prompt.rejected else of_prompt.chosen end as counterparts_of_prompt,
        case when ranked.side = 'chosen' then crowded.rejected else crowded.chosen end as counterparts_in_crowd,
    from ranked
    inner join of_task on ranked.task_id = of_task.task_id
    inner join of_prompt
        on
            ranked.task_id = of_prompt.task_id
            and ranked.prompt_sha256 is not distinct from of_prompt.prompt_sha256
            and ranked.tools_sha256 is not distinct from of_prompt.tools_sha256
    left join of_crowded_group as crowded
        on
            ranked.task_id = crowded.task_id
            and ranked.prompt_sha256 is not distinct from crowded.prompt_sha256
            and ranked.tools_sha256 is not distinct from crowded.tools_sha256
            and ranked.comparison is not distinct from crowded.comparison
),

stood as (
    select
        chosen_key as record_key,
        outcome,
    from candidate
    union all
    select
        rejected_key as record_key,
        outcome,
    from candidate
),

of_pairs as (
    select
        record_key,
        bool_or(outcome = 'exported') as is_paired,
        bool_or(outcome = 'over_cap') as is_over_cap,
    from stood
    group by record_key
)

select
    run.source_path,
    run.item_number,
    run.record_number,
    run.evidence_id,
    run.task_id,
    run.category,
    -- a record in a pair has a counterpart, so the outcomes of its pairs can be looked at first
    case
        when eligible.record_key is null then 'ineligible'
        when counted.record_key is null then 'not_a_side'
        when of_pairs.is_paired then 'paired'
        when of_pairs.is_over_cap then 'over_cap'
        when of_pairs.record_key is not null then 'refused'
        when counted.counterparts_in_crowd > 0 then 'over_cap'
        when counted.counterparts_of_prompt > 0 then 'not_comparable'
        when counted.counterparts_of_task > 0 then 'prompt_differs'
        else 'no_counterpart'
    end as outcome,
from scored.run as run
left join pairs.eligible as eligible on run.record_key = eligible.record_key
left join counted on run.record_key = counted.record_key
left join of_pairs on run.record_key = of_pairs.record_key
