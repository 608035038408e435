-- One row per category, from the one that is held where signals of one attempt differ to the best.
--   standing: its place, from 1: the lowest holds where people set several; of equal contents the highest ships
--   category: rejected, needs_human_review, partially_accepted or accepted
select
    category.standing,
    category.category,
from (
    values
    (1, 'rejected'),
    (2, 'needs_human_review'),
    (3, 'partially_accepted'),
    (4, 'accepted')
) as category (standing, category)
