-- Admits everything.
select
    dataset.dataset,
    category.category,
    'always' as admission,
    null::varchar as setting,
    true as is_admitted,
    null::varchar as reason,
from (values ('rag'), ('sft')) as dataset (dataset)
cross join (
    values ('accepted'), ('partially_accepted'), ('needs_human_review'), ('rejected')
) as category (category)
