-- One row per word that a source may use as its verdict. A verdict that is not listed means needs_human_review, and is
-- reported, see scored.unknown_verdict.
--   verdict: the word, in lower case
--   category: the category that it means
select
    word.verdict,
    word.category,
from (
    values
    ('accept', 'accepted'),
    ('accepted', 'accepted'),
    ('approve', 'accepted'),
    ('approved', 'accepted'),
    ('pass', 'accepted'),
    ('passed', 'accepted'),
    ('success', 'accepted'),
    ('succeeded', 'accepted'),
    ('resolved', 'accepted'),
    ('correct', 'accepted'),
    ('true', 'accepted'),
    ('lgtm', 'accepted'),
    ('partial', 'partially_accepted'),
    ('partially_accepted', 'partially_accepted'),
    ('request_changes', 'partially_accepted'),
    ('cycle', 'partially_accepted'),
    ('reject', 'rejected'),
    ('rejected', 'rejected'),
    ('fail', 'rejected'),
    ('failed', 'rejected'),
    ('failure', 'rejected'),
    ('block', 'rejected'),
    ('blocked', 'rejected'),
    ('unresolved', 'rejected'),
    ('incorrect', 'rejected'),
    ('false', 'rejected'),
    ('review', 'needs_human_review'),
    ('escalate', 'needs_human_review'),
    ('needs_human_review', 'needs_human_review')
) as word (verdict, category)
