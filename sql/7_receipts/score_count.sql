-- One row per stat of the stage score and category: how many records, counted now in this warehouse.
--   stage: score
--   stat: in, accepted, rejected or quarantined
--   reason: the category of what is not accepted; null for in and accepted
--   records: how many records
select
    'score' as stage,
    'in' as stat,
    null::varchar as reason,
    count(*) as records,
from evidence.stored_record
where source_class <> 'grade'
union all
select
    'score' as stage,
    case when category in ('accepted', 'rejected') then category else 'quarantined' end as stat,
    case when category <> 'accepted' then category end as reason,
    count(*) as records,
from scored.run
group by category
