-- One sentence about the lines of the hold-out that name no task of the evidence; no row where each names one.
--   sentence: the sentence
with ranked as (
    select
        line,
        row_number() over (order by line) as nth,
    from scored.holdout_match
    where tasks = 0
)

select
    concat(
        format('lines of the hold-out name no task of the evidence: {:,}, line ', count(*)),
        string_agg(line, ', ' order by line) filter (where nth <= 10),
        case when count(*) > 10 then format(' and {:,} others', count(*) - 10) else '' end,
        '; the receipt of score lists them.'
    ) as sentence,
from ranked
having count(*) > 0
