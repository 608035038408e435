-- One row per dataset and category: may such a record enter it? always; opt_in (a setting admits it); never (nothing does).
-- The first layer of the firewall. The schemas in etl/checks and the re-read in etl/firewall.py each hold the word never on their own.
select
    rule.dataset,
    rule.category,
    rule.admission,
from (
    values
    ('rag', 'accepted', 'always'),
    ('rag', 'partially_accepted', 'always'),
    ('rag', 'needs_human_review', 'opt_in'),
    ('rag', 'rejected', 'never'),
    ('sft', 'accepted', 'always'),
    ('sft', 'partially_accepted', 'opt_in'),
    ('sft', 'needs_human_review', 'never'),
    ('sft', 'rejected', 'never')
) as rule (dataset, category, admission)
