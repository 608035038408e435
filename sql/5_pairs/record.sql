-- One row per scored record: what became of it at the pairing (fate, the first that applies):
-- ineligible, not_a_side, prompt_differs, no_counterpart, paired, over_cap, refused.
with of_task as (
    select
        task_id,
        count(*) filter (where side = 'chosen') as chosen,
        count(*) filter (where side = 'rejected') as rejected,
    from pairs.best
    group by task_id
),

-- Only where a side has more records than the window takes can a record have counterparts, and yet stand in no pair.
of_crowded_prompt as (
    select
        best.task_id,
        best.prompt,
        count(*) filter (where best.side = 'chosen') as chosen,
        count(*) filter (where best.side = 'rejected') as rejected,
    from pairs.best as best
    group by best.task_id, best.prompt
    having max(best.rank) > (select max_pairs_per_task from policy.setting)
),

counted as (
    select
        best.source_path,
        best.line_number,
        case when best.side = 'chosen' then of_task.rejected else of_task.chosen end as counterparts_of_task,
        case when best.side = 'chosen' then crowded.rejected else crowded.chosen end as counterparts_in_crowd,
    from pairs.best as best
    inner join of_task on best.task_id = of_task.task_id
    left join of_crowded_prompt as crowded
        on best.task_id = crowded.task_id and best.prompt is not distinct from crowded.prompt
),

stood as (
    select
        chosen_source_path as source_path,
        chosen_line_number as line_number,
        fate,
    from pairs.candidate
    union all
    select
        rejected_source_path as source_path,
        rejected_line_number as line_number,
        fate,
    from pairs.candidate
),

outcome as (
    select
        source_path,
        line_number,
        bool_or(fate = 'exported') as is_paired,
        bool_or(fate = 'over_cap') as is_over_cap,
    from stood
    group by source_path, line_number
)

select
    run.source_path,
    run.line_number,
    run.evidence_id,
    run.task_id,
    run.category,
    -- no record that stands in a pair lacks a counterpart, so what became of its pairs can be asked first
    case
        when ineligible.line_number is not null then 'ineligible'
        when counted.source_path is null then 'not_a_side'
        when outcome.is_paired then 'paired'
        when outcome.is_over_cap then 'over_cap'
        when outcome.source_path is not null then 'refused'
        when counted.counterparts_in_crowd > 0 then 'over_cap'
        when counted.counterparts_of_task > 0 then 'prompt_differs'
        else 'no_counterpart'
    end as fate,
from scored.run as run
left join scored.defect as ineligible
    on run.source_path = ineligible.source_path and run.line_number = ineligible.line_number and not ineligible.is_eligible
left join counted on run.source_path = counted.source_path and run.line_number = counted.line_number
left join outcome on run.source_path = outcome.source_path and run.line_number = outcome.line_number
