-- One row per dataset of records and category: may such a record enter it? always; opt_in (while a setting is on); never (nothing
-- admits it). is_admitted says whether it enters under the settings of this warehouse, reason why it does not.
-- The first layer of the firewall. The schemas in etl/checks and the re-read in etl/export/firewall.py each hold the word never on their own.
with switch as (
    select
        'include_partial' as setting,
        chosen.include_partial as is_on,
    from policy.setting as chosen
    union all
    select
        'include_review' as setting,
        chosen.include_review as is_on,
    from policy.setting as chosen
),

rule as (
    select
        rule.dataset,
        rule.category,
        rule.admission,
        rule.setting,
        rule.admission = 'always' or coalesce(rule.admission = 'opt_in' and switch.is_on, false) as is_admitted,
    from (
        values
        ('rag', 'accepted', 'always', null),
        ('rag', 'partially_accepted', 'always', null),
        ('rag', 'needs_human_review', 'opt_in', 'include_review'),
        ('rag', 'rejected', 'never', null),
        ('sft', 'accepted', 'always', null),
        ('sft', 'partially_accepted', 'opt_in', 'include_partial'),
        ('sft', 'needs_human_review', 'never', null),
        ('sft', 'rejected', 'never', null)
    ) as rule (dataset, category, admission, setting)
    left join switch on rule.setting = switch.setting
)

select
    dataset,
    category,
    admission,
    setting,
    is_admitted,
    case
        when is_admitted then null
        when admission = 'opt_in' then 'category_disallowed'
        else 'unsafe_' || dataset || '_category'
    end as reason,
from rule
