-- One row per word that a source may use as its verdict. A verdict that is not listed means needs_human_review.
--   verdict: the word, in lower case
--   category: the category that it means
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
