-- One row per prompt that a task poses: the messages of the prompt and the tools, as they stand. Rows carry no text; datasets.prompt
-- adds it. Prompts are there for all tasks, also where no attempt was accepted.
-- key: task_id; datasets.decision and scored.task_group whole.
--   task_id: the task
--   record_key: the first record, by place, that has this prompt
--   answer_keys: records whose answers to it are accepted and in no other way unfit for sft than that they are duplicates or held
--       out, by place; of equal answers the first
--   split: train, validation or test, see scored.task_group
--   is_reserved: whether the task, or one in its group, is held out
--   source_path: the file of the first record, relative to the evidence folder
--   item_number: the number of its item in the file, from 1
--   record_number: its number among the records of the item, from 1
--   text_bytes: how many bytes the texts of all these records take
with record as (
    select
        record_key,
        task_id,
        prompt_sha256,
        tools_sha256,
        prompt_length,
        answer_hash,
        response_length,
        struct_pack(source_path := source_path, item_number := item_number, record_number := record_number) as place,
        struct_pack(
            record_key := record_key,
            source_path := source_path,
            item_number := item_number,
            record_number := record_number,
            text_bytes := text_bytes
        ) as entry,
    from evidence.stored_record
    where source_class <> 'grade' and task_id is not null
),

posed as (
    select
        task_id,
        prompt_sha256,
        tools_sha256,
        arg_min(entry, place) as first_record,
    from record
    where prompt_length > 0
    group by task_id, prompt_sha256, tools_sha256
),

accepted as (
    select
        record.task_id,
        record.prompt_sha256,
        record.tools_sha256,
        arg_min(record.entry, record.place) as first_record,
    from datasets.decision as decision
    inner join record on decision.record_key = record.record_key
    where
        decision.dataset = 'sft'
        and decision.category = 'accepted'
        and list_has_all(['duplicate_id', 'duplicate_content', 'reserved_holdout'], decision.quarantine_reasons)
        and record.response_length > 0
    group by record.task_id, record.prompt_sha256, record.tools_sha256, record.answer_hash
),

answered as (
    select
        accepted.task_id,
        accepted.prompt_sha256,
        accepted.tools_sha256,
        list(
            accepted.first_record.record_key
            order by
                accepted.first_record.source_path,
                accepted.first_record.item_number,
                accepted.first_record.record_number
        ) as answer_keys,
        sum(accepted.first_record.text_bytes) as text_bytes,
    from accepted
    group by accepted.task_id, accepted.prompt_sha256, accepted.tools_sha256
)

select
    posed.task_id,
    posed.first_record.record_key,
    coalesce(answered.answer_keys, []) as answer_keys,
    task_group.split,
    task_group.holdout_line is not null as is_reserved,
    posed.first_record.source_path,
    posed.first_record.item_number,
    posed.first_record.record_number,
    (posed.first_record.text_bytes + coalesce(answered.text_bytes, 0))::bigint as text_bytes,
from posed
inner join scored.task_group as task_group on posed.task_id = task_group.task_id
left join answered
    on
        posed.task_id = answered.task_id
        and posed.prompt_sha256 = answered.prompt_sha256
        and posed.tools_sha256 is not distinct from answered.tools_sha256
