-- One row per dataset of records and category: whether records of this category may enter the dataset.
-- This is the first layer of the firewall. The schemas in etl/checks and the re-read in etl/export/firewall refuse what may
-- never enter, and do not ask this view.
--   dataset: the dataset, such as sft
--   category: the category of a record, see scored.run
--   admission: always; opt_in (while a setting is on); never (no setting admits it)
--   setting: the setting in policy.setting that admits an opt_in category; null for always and never
--   is_admitted: whether the category enters under the settings of this warehouse
--   reason: why it does not enter, see policy.reason; null: it enters
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
