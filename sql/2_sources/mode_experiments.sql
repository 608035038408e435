-- One row per attempt at a task in one of the working modes of the agent.
--   source_path: the file of the line, from raw.item
--   item_number: the number of the line, from raw.item
--   source_class: experiment
--   run_id: /run_id
--   task_id: /task_id
--   created_at: /created_at
--   model: /model
--   prompt: /prompt
--   response: /response
--   grounded_fraction: /validation_results/grounded_fraction, the share of its statements that were found in the repository
--   problem: missing_<field> (absent or blank) or bad_<field> (of another type); null: no fault was found
with field as (
    select
        source_path,
        item_number,
        unnest(json_transform(json, '{
            "run_id": "JSON", "task_id": "JSON", "created_at": "JSON", "model": "JSON", "prompt": "JSON",
            "response": "JSON", "validation_results": "JSON"
        }')),
    from raw.item
),

graded as (
    select
        field.*,
        validation_results -> '$.grounded_fraction' as grounded_fraction,
    from field
)

select
    source_path,
    item_number,
    'experiment' as source_class,
    sources.as_text(run_id) as run_id,
    sources.as_text(task_id) as task_id,
    sources.as_text(created_at) as created_at,
    sources.as_text(model) as model,
    sources.as_text(prompt) as prompt,
    sources.as_text(response) as response,
    sources.as_number(grounded_fraction) as grounded_fraction,
    case
        when policy.is_blank(sources.as_text(task_id)) then 'missing_task_id'
        when policy.is_blank(sources.as_text(created_at)) then 'missing_created_at'
        when not sources.is_text(run_id) then 'bad_run_id'
        when not sources.is_text(task_id) then 'bad_task_id'
        when not sources.is_text(created_at) then 'bad_created_at'
        when not sources.is_text(model) then 'bad_model'
        when not sources.is_text(prompt) then 'bad_prompt'
        when not sources.is_text(response) then 'bad_response'
        when not sources.is_object(validation_results) then 'bad_validation_results'
        when grounded_fraction <> 'null' and not sources.is_number(grounded_fraction)
            then 'bad_validation_results.grounded_fraction'
    end as problem,
from graded
