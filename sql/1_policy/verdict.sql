-- One row per word that a source may use for its verdict (in lower case): the category it means. A word that is not here means needs_human_review.
select
    word.verdict,
    word.category,
from (
    values
    ('accept', 'accepted'),
    ('approve', 'accepted'),
    ('pass', 'accepted'),
    ('resolved', 'accepted'),
    ('partial', 'partially_accepted'),
    ('request_changes', 'partially_accepted'),
    ('cycle', 'partially_accepted'),
    ('reject', 'rejected'),
    ('fail', 'rejected'),
    ('block', 'rejected'),
    ('review', 'needs_human_review'),
    ('escalate', 'needs_human_review')
) as word (verdict, category)
