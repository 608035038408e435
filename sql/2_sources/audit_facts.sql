-- One row per fact that an audit of the repository noted about one file.
--   source_path: the file of the line, from raw.item
--   item_number: the number of the line, from raw.item
--   source_class: extraction
--   run_id: /run_id
--   task_id: /task_id
--   created_at: /created_at
--   file: /file
--   response: /fact
--   cited_paths: /file as the only path; null where it is absent
--   problem: missing_<field> (absent or blank) or bad_<field> (of another type); null: no fault was found
with field as (
    select
        source_path,
        item_number,
        unnest(json_transform(json, '{
            "run_id": "JSON", "task_id": "JSON", "created_at": "JSON", "fact": "JSON", "file": "JSON"
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
    sources.as_text(file) as file,
    sources.as_text(fact) as response,
    case when file is not null then [sources.as_text(file)] end as cited_paths,
    case
        when policy.is_blank(sources.as_text(task_id)) then 'missing_task_id'
        when policy.is_blank(sources.as_text(created_at)) then 'missing_created_at'
        when not sources.is_text(run_id) then 'bad_run_id'
        when not sources.is_text(task_id) then 'bad_task_id'
        when not sources.is_text(created_at) then 'bad_created_at'
        when not sources.is_text(fact) then 'bad_fact'
        when not sources.is_text(file) then 'bad_file'
    end as problem,
from field
