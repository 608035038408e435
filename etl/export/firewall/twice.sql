-- The first id that two written rows have; no row where each has its own.
select id
from main.written_id
group by id
having count(*) > 1
order by id
limit 1
