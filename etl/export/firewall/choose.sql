-- Lets evidence.record have the records that rows of temp.written name, and no others.
insert into temp.wanted
select judged.record_key
from main.judged as judged
semi join temp.written as written on judged.place = written.place
