-- Adds to main.written_id the ids of the rows in temp.written.
--   $file: the file that they were read from
insert into main.written_id
select
    $file,
    id,
from temp.written
where side <> 'rejected'
