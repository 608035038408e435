-- One sentence for each outcome of grades that do not count as a rule: how many have it, and the places of the first ten.
--   sentence: the sentence
with ranked as (
    select
        outcome,
        source_path || ':' || item_number as place,
        row_number() over (partition by outcome order by source_path, item_number, record_number) as nth,
    from scored.grade
    where outcome <> 'met'
)

select
    concat(
        format('{:,} grades are an {}, because they meet ', count(*), outcome),
        case outcome
            when 'ambiguous_grade' then 'several attempts, so only a person''s rejection counts: '
            else 'no attempt: '
        end,
        string_agg(place, ', ' order by nth) filter (where nth <= 10),
        case when count(*) > 10 then format(' and {:,} others', count(*) - 10) else '' end,
        '; the view scored.grade has them all, name both run_id and task_id in a grade.'
    ) as sentence,
from ranked
group by outcome
order by outcome
