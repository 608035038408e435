-- One row per stat of score and category (the reason of what it did not accept): how many records, as they are now. stat is in,
-- accepted, rejected or quarantined.
select
    'score' as stage,
    'in' as stat,
    null::varchar as reason,
    count(*) as records,
from evidence.record
union all
select
    'score' as stage,
    case when category in ('accepted', 'rejected') then category else 'quarantined' end as stat,
    case when category <> 'accepted' then category end as reason,
    count(*) as records,
from scored.run
group by category
