-- The first row of a dataset whose group of tasks is on another side of the split too; no row where each group is on one side.
--   id: the id of the written row
--   problem: what is wrong with it, as the end of a sentence that begins with the row
with divided as (
    select
        task_group,
        string_agg(distinct split, ' and ' order by split) as splits,
    from main.written_split
    group by task_group
    having count(distinct split) > 1
)

select
    written.id,
    concat('is of a group of tasks that is in ', divided.splits) as problem,
from divided
inner join main.written_split as written on divided.task_group = written.task_group
semi join main.written_id as of_dataset on written.id = of_dataset.id
order by written.id
limit 1
