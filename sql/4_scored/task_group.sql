-- One row per task: its group, which is all that shares prompts with it, and the side of the split that the group takes. Two tasks
-- are in one group where they share a prompt, as prompts are compared, or where both are in one group with a third. So no prompt is
-- on two sides. A group takes its side by the smallest hash of its tasks, so a row changes sides only where new evidence joins groups.
-- key: whole.
--   task_id: the task
--   group_hash: sha256 hex of the task_id that has the smallest hash in the group, by which the group is known
--   split: train, validation or test, see validation_share and test_share of policy.setting
--   holdout_line: the first line of policy.holdout that names a task or a prompt of the group; null: the group is not reserved
with recursive task as ( -- numbered by their hashes, so that the smallest number is the smallest hash
    select
        named.task_id,
        named.task_hash,
        row_number() over (order by named.task_hash) as task,
    from (
        select distinct
            record.task_id,
            sha256(record.task_id) as task_hash,
        from evidence.stored_record as record
        where record.source_class <> 'grade' and record.task_id is not null
    ) as named
),

shared_prompt as ( -- few
    select record.prompt_hash
    from evidence.stored_record as record
    where record.source_class <> 'grade' and record.prompt_length > 0
    group by record.prompt_hash
    having min(record.task_id) < max(record.task_id)
),

link as (
    select distinct
        task.task,
        record.prompt_hash,
    from evidence.stored_record as record
    inner join shared_prompt on record.prompt_hash = shared_prompt.prompt_hash
    inner join task on record.task_id = task.task_id
    where record.source_class <> 'grade'
),

-- At first each task is a group of its own, known by its number. In each round a group joins the one with the smallest number among
-- those that it shares a prompt with, until none changes. The numbers are as good as random, so a chain of n tasks takes some log n
-- rounds.
grouped as (
    select distinct
        0 as round,
        link.task,
        link.task as first_task,
        true as is_changing,
    from link
    union all
    (
        with of_prompt as (
            select
                link.prompt_hash,
                min(grouped.first_task) as first_task,
            from grouped
            inner join link on grouped.task = link.task
            group by link.prompt_hash
        ),

        of_group as (
            select
                grouped.first_task,
                min(of_prompt.first_task) as joined,
            from grouped
            inner join link on grouped.task = link.task
            inner join of_prompt on link.prompt_hash = of_prompt.prompt_hash
            group by grouped.first_task
        )

        select
            grouped.round + 1 as round,
            grouped.task,
            of_group.joined as first_task,
            bool_or(of_group.joined < grouped.first_task) over () as is_changing,
        from grouped
        inner join of_group on grouped.first_task = of_group.first_task
        where grouped.is_changing
    )
),

final as (
    select
        task,
        arg_max(first_task, round) as first_task,
    from grouped
    group by task
),

member as (
    select
        task.task_id,
        first_task.task as first_task,
        first_task.task_hash as group_hash,
    from task
    left join final on task.task = final.task
    inner join task as first_task on coalesce(final.first_task, task.task) = first_task.task
),

held_out as (
    select
        member.first_task,
        min(named.line) as line,
    from scored.holdout_task as named
    inner join member on named.task_id = member.task_id
    group by member.first_task
),

placed as ( -- the first 52 bits of a hash, as a number from 0 to 1
    select
        member.*,
        ('0x' || left(sha256(member.group_hash), 13))::bigint / (1::bigint << 52) as place,
    from member
)

select
    placed.task_id,
    placed.group_hash,
    case
        when placed.place < setting.test_share then 'test'
        when placed.place < setting.test_share + setting.validation_share then 'validation'
        else 'train'
    end as split,
    held_out.line as holdout_line,
from placed
cross join policy.setting as setting
left join held_out on placed.first_task = held_out.first_task
