-- One row per category gap that makes a preference: the chosen side's category, the rejected side's, and the name of the gap.
select
    gap.chosen_category,
    gap.rejected_category,
    gap.reason,
from (
    values
    ('accepted', 'rejected', 'accepted_over_rejected'),
    ('accepted', 'partially_accepted', 'accepted_over_partially_accepted')
) as gap (chosen_category, rejected_category, reason)
