-- The first id that two written rows have; no row where each has its own.
--   id: the id
--   problem: what is wrong with it, as the end of a sentence that begins with the row
select
    id,
    'is there twice' as problem,
from main.written_id
group by id
having count(*) > 1
order by id
limit 1
