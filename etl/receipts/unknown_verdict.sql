-- One sentence about the verdicts that are not words of policy.verdict: the ten most frequent, of whose text sixty characters are
-- shown, and how many others there are. No row where there is none.
--   sentence: the sentence
with ranked as (
    select
        format('''{}'' ({}, {:,})', policy.short(verdict, 60), policy.short(source, 60), records) as word,
        records,
        row_number() over (order by records desc, source asc, verdict asc) as place,
    from scored.unknown_verdict
)

select
    concat(
        'these verdicts are unknown, so their records need human review: ',
        string_agg(word, ', ' order by place) filter (where place <= 10),
        case
            when count(*) > 10
                then format(' and {:,} others ({:,})', count(*) - 10, sum(records) filter (where place > 10)::bigint)
            else ''
        end,
        '; a file sql/1_policy/verdict.sql in the root teaches new words.'
    ) as sentence,
from ranked
having count(*) > 0
