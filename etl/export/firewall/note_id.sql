-- Adds to main.written_id the ids of the rows in temp.written, and to main.written_split on which sides their groups of tasks are.
insert into main.written_id
select id
from temp.written
where side in ('record', 'chosen');

insert into main.written_split
select
    judged.task_group,
    written.split,
    min(written.id),
from temp.written as written
inner join main.judged as judged on written.place = judged.place
group by judged.task_group, written.split
