-- One row per candidate pair, with the text of both sides. It ships where both quarantine_reason and skip_reason are null. The
-- columns up to provenance are those of the dataset; the others say where the pair is from and whether it ships.
--   id: sha256 hex of "preference", the chosen and the rejected evidence_id, joined by 0x1F
--   task_id: the task of both records
--   prompt: the task as given to the agent, equal on both sides
--   chosen: the better response
--   rejected: the worse response
--   prompt_messages: the messages of the prompt, equal on both sides, as JSON text; null: neither side has a conversation
--   chosen_messages: the better answer, all messages after the prompt; null: neither side has a conversation
--   rejected_messages: the worse answer likewise
--   tools: the definitions of the tools, equal on both sides, as JSON text; null: there are none, or no conversation
--   chosen_run_id: the agent's run that gave the chosen answer
--   rejected_run_id: the agent's run that gave the rejected answer
--   chosen_category: the category of the chosen record
--   rejected_category: the category of the rejected record
--   reason: accepted_over_rejected or accepted_over_partially_accepted
--   created_at: the later time of the two records, UTC; null: neither has one
--   split: train, validation or test; rows of one task, or of tasks that share prompts, have the same
--   provenance: file, item, record number and item hash of the chosen and of the rejected record
--   prompt_characters: how many characters the prompt has; of a conversation, all messages of its prompt, see policy.characters
--   chosen_characters: how many characters the better answer has, likewise
--   rejected_characters: how many characters the worse answer has
--   chosen_turns: how often the assistant speaks in the better answer; 1 without a conversation
--   rejected_turns: how often it speaks in the worse answer
--   chosen_tool_calls: how many calls the better answer has; 0 without a conversation
--   rejected_tool_calls: how many calls the worse answer has
--   source_path: the file of the chosen record
--   item_number: the item of the chosen record in its file
--   record_number: the number of the chosen record among those of its item
--   part: the part of the dataset in which the row lies, see evidence.part
--   chosen_key: the record_key of the chosen record
--   rejected_key: the record_key of the rejected record
--   quarantine_reason: the first reason why it is quarantined; null: it is not
--   quarantine_reasons: all reasons why it is quarantined, in the order of policy.reason; empty: it is not
--   detail: why it is quarantined, in words; null: it is not
--   skip_reason: over_cap where the task exports max_pairs_per_task better pairs; else null
with paired as (
    select
        decision.id,
        decision.task_id,
        chosen.prompt,
        chosen.response as chosen,
        rejected.response as rejected,
        case
            when chosen.answer_end is not null then policy.prompt_messages(chosen.messages, chosen.prompt_end)
            when rejected.answer_end is not null then policy.prompt_messages(rejected.messages, rejected.prompt_end)
        end as prompt_messages,
        case
            when chosen.answer_end is not null
                then policy.answer_messages(chosen.messages, chosen.prompt_end, chosen.answer_end)
            when rejected.answer_end is not null then policy.message('assistant', chosen.response)
        end as chosen_messages,
        case
            when rejected.answer_end is not null
                then policy.answer_messages(rejected.messages, rejected.prompt_end, rejected.answer_end)
            when chosen.answer_end is not null then policy.message('assistant', rejected.response)
        end as rejected_messages,
        case when coalesce(chosen.answer_end, rejected.answer_end) is not null then chosen.tools end as tools,
        decision.chosen_run_id,
        decision.rejected_run_id,
        decision.chosen_category,
        decision.rejected_category,
        decision.reason,
        greatest(chosen.created_at, rejected.created_at) as created_at,
        decision.split,
        struct_pack(
            chosen := struct_pack(
                source_path := chosen.source_path,
                item_number := chosen.item_number,
                record_number := chosen.record_number,
                item_sha256 := chosen.item_sha256
            ),
            rejected := struct_pack(
                source_path := rejected.source_path,
                item_number := rejected.item_number,
                record_number := rejected.record_number,
                item_sha256 := rejected.item_sha256
            )
        ) as provenance,
        decision.source_path,
        decision.item_number,
        decision.record_number,
        decision.part,
        decision.chosen_key,
        decision.rejected_key,
        decision.quarantine_reason,
        decision.quarantine_reasons,
        decision.detail,
        decision.skip_reason,
    from datasets.pair_decision as decision
    inner join evidence.record as chosen on decision.chosen_key = chosen.record_key
    inner join evidence.record as rejected on decision.rejected_key = rejected.record_key
    where decision.dataset = 'preference'
),

heard as ( -- a step is computed where one of its columns is asked for
    select
        *,
        policy.messages(prompt_messages) as asked,
        policy.messages(chosen_messages) as better,
        policy.messages(rejected_messages) as worse,
    from paired
)

select
    id,
    task_id,
    prompt,
    chosen,
    rejected,
    prompt_messages,
    chosen_messages,
    rejected_messages,
    tools,
    chosen_run_id,
    rejected_run_id,
    chosen_category,
    rejected_category,
    reason,
    created_at,
    split,
    provenance,
    coalesce(policy.characters(asked), length(prompt), 0) as prompt_characters,
    coalesce(policy.characters(better), length(chosen), 0) as chosen_characters,
    coalesce(policy.characters(worse), length(rejected), 0) as rejected_characters,
    coalesce(policy.turns(better), 1) as chosen_turns,
    coalesce(policy.turns(worse), 1) as rejected_turns,
    policy.calls(better) as chosen_tool_calls,
    policy.calls(worse) as rejected_tool_calls,
    source_path,
    item_number,
    record_number,
    part,
    chosen_key,
    rejected_key,
    quarantine_reason,
    quarantine_reasons,
    detail,
    skip_reason,
from heard
