-- One row per scored record: what became of it at the pairing (fate, the first that applies):
-- ineligible, not_a_side, prompt_differs, no_counterpart, paired, over_cap, refused.
with of_prompt as (
    select
        task_id,
        prompt,
        count(*) filter (where side = 'chosen') as chosen,
        count(*) filter (where side = 'rejected') as rejected,
    from pairs.best
    group by task_id, prompt
),

of_task as (
    select
        task_id,
        sum(chosen)::bigint as chosen,
        sum(rejected)::bigint as rejected,
    from of_prompt
    group by task_id
),

counted as (
    select
        best.source_path,
        best.line_number,
        best.side,
        best.rank,
        case when best.side = 'chosen' then of_prompt.rejected else of_prompt.chosen end as counterparts,
        case when best.side = 'chosen' then of_task.rejected else of_task.chosen end as counterparts_of_task,
    from pairs.best as best
    inner join of_prompt
        on best.task_id = of_prompt.task_id and best.prompt is not distinct from of_prompt.prompt
    inner join of_task on best.task_id = of_task.task_id
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
    case
        when not defect.is_eligible then 'ineligible'
        when counted.source_path is null then 'not_a_side'
        when counted.counterparts = 0 and counted.counterparts_of_task > 0 then 'prompt_differs'
        when counted.counterparts = 0 then 'no_counterpart'
        when outcome.is_paired then 'paired'
        when outcome.is_over_cap or counted.rank > setting.max_pairs_per_task then 'over_cap'
        else 'refused'
    end as fate,
from scored.run as run
inner join scored.defect as defect on run.source_path = defect.source_path and run.line_number = defect.line_number
cross join policy.setting as setting
left join counted on run.source_path = counted.source_path and run.line_number = counted.line_number
left join outcome on run.source_path = outcome.source_path and run.line_number = outcome.line_number
