-- Adds to main.written_id the ids of the rows in temp.written.
insert into main.written_id
select id
from temp.written
where side <> 'rejected'
