-- One row per review of a run by an observer agent. The review is the response.
--   source_path: the file of the line, from raw.item
--   item_number: the number of the line, from raw.item
--   source_class: verdict
--   run_id: /run_id
--   task_id: /task_id
--   created_at: /created_at
--   model: /model
--   file: /file
--   prompt: /prompt
--   response: /review
--   verdict: /verdict: accept, reject or cycle (do it again)
--   problem: missing_<field> (absent or blank) or bad_<field> (of another type); null: no fault was found
with field as (
    select
        source_path,
        item_number,
        unnest(json_transform(json, '{
            "run_id": "JSON", "task_id": "JSON", "created_at": "JSON", "model": "JSON", "file": "JSON",
            "prompt": "JSON", "review": "JSON", "verdict": "JSON"
        }')),
    from raw.item
)

select
    source_path,
    item_number,
    'verdict' as source_class,
    sources.as_text(run_id) as run_id,
    sources.as_text(task_id) as task_id,
    sources.as_text(created_at) as created_at,
    sources.as_text(model) as model,
    sources.as_text(file) as file,
    sources.as_text(prompt) as prompt,
    sources.as_text(review) as response,
    sources.as_text(verdict) as verdict,
    case
        when policy.is_blank(sources.as_text(task_id)) then 'missing_task_id'
        when policy.is_blank(sources.as_text(created_at)) then 'missing_created_at'
        when not sources.is_text(run_id) then 'bad_run_id'
        when not sources.is_text(task_id) then 'bad_task_id'
        when not sources.is_text(created_at) then 'bad_created_at'
        when not sources.is_text(model) then 'bad_model'
        when not sources.is_text(file) then 'bad_file'
        when not sources.is_text(prompt) then 'bad_prompt'
        when not sources.is_text(review) then 'bad_review'
        when not sources.is_text(verdict) then 'bad_verdict'
    end as problem,
from field
