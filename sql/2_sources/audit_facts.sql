-- One row per fact that an audit of the repository noted about one file, which is the only path that it cites.
-- fields:
--   run_id text = /run_id
--   task_id text required = /task_id
--   created_at text required = /created_at
--   fact text = /fact
--   file text = /file
select
    source_path,
    item_number,
    'extraction' as source_class,
    run_id,
    task_id,
    created_at,
    file,
    fact as response,
    case when file is not null then [file] end as cited_paths,
from raw.item
