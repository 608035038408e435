-- One sentence for each kind of grades that do not count: how many there are, and the places of the first ten. No row where all count.
--   sentence: the sentence
with ranked as (
    select
        outcome,
        policy.short_place(source_path, item_number) as place,
        row_number() over (partition by outcome order by source_path, item_number, record_number) as nth,
    from scored.grade
    where outcome <> 'met'
)

select
    concat(
        case outcome
            when 'ambiguous_grade'
                then 'grades meet several attempts, so that only a person''s rejection counts (ambiguous_grade): '
            else 'grades meet no attempt (unmatched_grade): '
        end,
        format('{:,}, at ', count(*)),
        string_agg(place, ', ' order by nth) filter (where nth <= 10),
        case when count(*) > 10 then format(' and {:,} other places', count(*) - 10) else '' end,
        case outcome
            when 'ambiguous_grade' then '; name both run_id and task_id in each.'
            else '; scored.grade lists all grades.'
        end
    ) as sentence,
from ranked
group by outcome
order by outcome
