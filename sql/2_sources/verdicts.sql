-- One row per grade of an attempt that another source tells of: a reviewer's word, the score of a test, a person's decision. It
-- names a run, a task or both. Who gave it (/by) and a note (/note) stay in the item, where etl explain shows them.
-- fields:
--   run_id text = /run_id
--   task_id text = /task_id
--   verdict text = /verdict
--   score number = /score
--   human_override text = /human_override
--   comparison text = /comparison
--   created_at text = /created_at
select
    source_path,
    item_number,
    'grade' as source_class,
    run_id,
    task_id,
    created_at,
    verdict,
    score,
    comparison,
    human_override,
from raw.item
