-- One row per gap between two categories that makes a preference.
--   chosen_category: the category of the chosen record
--   rejected_category: the category of the rejected record
--   reason: the name of the gap; the preference dataset gives it as the reason for the preference
select
    gap.chosen_category,
    gap.rejected_category,
    gap.reason,
from (
    values
    ('accepted', 'rejected', 'accepted_over_rejected'),
    ('accepted', 'partially_accepted', 'accepted_over_partially_accepted')
) as gap (chosen_category, rejected_category, reason)
