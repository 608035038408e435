-- One row per scored record, with its text. It ships where quarantine_reason is null. The columns up to provenance are those of
-- the dataset; the others say where the record is from and whether it ships.
--   id: sha256 hex of "sft" and the evidence_id, joined by 0x1F
--   source_run_id: the agent's run that gave the response; null: the item names none
--   task_id: the task that the agent worked on
--   source: the source, which is the name of its mapping
--   quality_score: the category of the record
--   instruction: the prompt
--   response: the agent's final answer; null: the conversation ends in calls, and no message has a text
--   messages: the conversation up to its last assistant message, as JSON text in normal form; null: there is none
--   tools: the definitions of its tools, as JSON text; null: there are none, or no conversation
--   model: the model, as the source spells it; null: not named
--   created_at: the time that the item gives, UTC; null: it gives none
--   split: train, validation or test; rows of one task, or of tasks that share prompts, have the same
--   provenance: file, item, record number and item hash of the record
--   prompt_characters: how many characters the prompt has; of a conversation, all messages of its prompt, see policy.characters
--   answer_characters: how many characters the answer has, likewise
--   turns: how often the assistant speaks; 1 without a conversation
--   tool_calls: how many calls the conversation has; 0 without one
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   part: the part of the dataset in which the row lies, see evidence.part
--   record_key: the record within this warehouse, for joins; see evidence.record
--   category: its category, see scored.run
--   quarantine_reason: the first reason why it does not ship; null: it ships
--   quarantine_reasons: all reasons why it does not ship, in the order of policy.reason; empty: it ships
--   detail: where the first reason was found, such as cited_paths[2] or the category; null: it ships
with heard as ( -- a step is computed where one of its columns is asked for
    select
        record.*,
        policy.asked(record.messages, record.prompt_end, record.answer_end) as asked,
        policy.answered(record.messages, record.prompt_end, record.answer_end) as answered,
    from evidence.record as record
)

select
    decision.id,
    record.run_id as source_run_id,
    record.task_id,
    record.source,
    decision.category as quality_score,
    record.prompt as instruction,
    record.response,
    policy.conversation(record.messages, record.answer_end) as messages,
    case when record.answer_end is not null then record.tools end as tools,
    record.model,
    record.created_at,
    decision.split,
    struct_pack(
        source_path := record.source_path,
        item_number := record.item_number,
        record_number := record.record_number,
        item_sha256 := record.item_sha256
    ) as provenance,
    coalesce(policy.characters(record.asked), length(record.prompt), 0) as prompt_characters,
    coalesce(policy.characters(record.answered), length(record.response), 0) as answer_characters,
    coalesce(policy.turns(record.asked) + policy.turns(record.answered), 1) as turns,
    policy.calls(record.asked) + policy.calls(record.answered) as tool_calls,
    decision.source_path,
    decision.item_number,
    decision.record_number,
    decision.part,
    decision.record_key,
    decision.category,
    decision.quarantine_reason,
    decision.quarantine_reasons,
    decision.detail,
from datasets.decision as decision
inner join heard as record on decision.record_key = record.record_key
where decision.dataset = 'sft'
