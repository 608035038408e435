-- One row per hint about configuration that was distilled from a finished task. Its category comes from the verdicts on the
-- task.
--   source_path: the file of the line, from raw.item
--   item_number: the number of the line, from raw.item
--   source_class: extraction
--   run_id: /run_id
--   task_id: /task_id
--   created_at: /created_at
--   response: /text
--   cited_paths: /cited_paths
--   problem: missing_<field> (absent or blank) or bad_<field> (of another type); null: no fault was found
with field as (
    select
        source_path,
        item_number,
        unnest(json_transform(json, '{
            "run_id": "JSON", "task_id": "JSON", "created_at": "JSON", "text": "JSON", "cited_paths": "JSON"
        }')),
    from raw.item
)

select
    source_path,
    item_number,
    'extraction' as source_class,
    sources.as_text(run_id) as run_id,
    sources.as_text(task_id) as task_id,
    sources.as_text(created_at) as created_at,
    sources.as_text(text) as response,
    sources.as_text_array(cited_paths) as cited_paths,
    case
        when policy.is_blank(sources.as_text(task_id)) then 'missing_task_id'
        when policy.is_blank(sources.as_text(created_at)) then 'missing_created_at'
        when not sources.is_text(run_id) then 'bad_run_id'
        when not sources.is_text(task_id) then 'bad_task_id'
        when not sources.is_text(created_at) then 'bad_created_at'
        when not sources.is_text(text) then 'bad_text'
        when not sources.is_text_array(cited_paths) then 'bad_cited_paths'
    end as problem,
from field
