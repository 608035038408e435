-- The pair that has an id, with its text and what the dataset decides about it; see datasets.preference.
--   $id: the id
select
    id,
    task_id,
    prompt,
    chosen,
    rejected,
    chosen_run_id,
    rejected_run_id,
    chosen_category,
    rejected_category,
    reason,
    provenance,
    quarantine_reasons,
    skip_reason,
    detail,
from datasets.preference
where id = $id
