-- One row per prompt that a task poses, with its text and accepted answers: to sample and grade new answers, or to evaluate. No stage
-- exports it; etl export does, for trainers the prompts that are not reserved, with --reserved those that are.
-- key: record_key.
--   id: sha256 hex of "prompt" and the evidence_id of the first record that has the prompt, joined by 0x1F
--   task_id: the task
--   prompt: the task as given to the agent; of a conversation the last user message of its prompt
--   prompt_messages: all messages of the prompt, as JSON text in normal form; without a conversation, the prompt as one message
--   tools: the definitions of the tools, as JSON text; null: there are none
--   answers: accepted answers, see answer_keys of datasets.task_prompt; empty: there are none
--   split: train, validation or test, see scored.task_group
--   provenance: file, item, record number and item hash of the record that the prompt is from
--   answer_provenance: those of the records that the answers are from
--   prompt_characters: how many characters all messages of the prompt have, see policy.characters
--   is_reserved: whether the task, or one in its group, is held out
--   record_key: the record within this warehouse, for joins; see evidence.record
with answered as (
    select
        answer.record_key,
        list(record.response order by answer.place) as answers,
        list(
            struct_pack(
                source_path := record.source_path,
                item_number := record.item_number,
                record_number := record.record_number,
                item_sha256 := record.item_sha256
            )
            order by answer.place
        ) as answer_provenance,
    from (
        select
            task_prompt.record_key,
            unnest(task_prompt.answer_keys) as answer_key,
            generate_subscripts(task_prompt.answer_keys, 1) as place,
        from datasets.task_prompt as task_prompt
    ) as answer
    inner join evidence.record as record on answer.answer_key = record.record_key
    group by answer.record_key
),

posed as (
    select
        record.*,
        case
            when record.answer_end is not null then policy.prompt_messages(record.messages, record.prompt_end)
            else policy.message('user', record.prompt)
        end as prompt_messages,
    from evidence.record as record
)

select
    sha256(concat('prompt', chr(31), record.evidence_id)) as id,
    record.task_id,
    record.prompt,
    record.prompt_messages,
    record.tools,
    coalesce(answered.answers, []) as answers,
    task_prompt.split,
    struct_pack(
        source_path := record.source_path,
        item_number := record.item_number,
        record_number := record.record_number,
        item_sha256 := record.item_sha256
    ) as provenance,
    coalesce(answered.answer_provenance, []) as answer_provenance,
    policy.characters(policy.messages(record.prompt_messages)) as prompt_characters,
    task_prompt.is_reserved,
    task_prompt.record_key,
from datasets.task_prompt as task_prompt
inner join posed as record on task_prompt.record_key = record.record_key
left join answered on task_prompt.record_key = answered.record_key
