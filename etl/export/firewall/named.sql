-- Makes the view of the records that the written rows name, as evidence.record and main.judged know them: one row for each of
-- temp.written. What a row says of itself is not trusted: its category is computed anew, and so is whether its attempt or its
-- content is rejected, without the views that should have kept it out.
--   id: the id of the written row
--   side: chosen, rejected or record; of a prompt record, or answer
--   is_named: whether a record has the place and the item hash that the row names
--   differing: the first column of the record that the row carries otherwise; null: it carries the record's own
--   evidence_id, task_id, run_id, created_at, answer_hash: those of the record
--   comparison: its own, else that of the grades that decide; null: it compares within the task
--   prompt_sha256, tools_sha256: those of the record, see evidence.record
--   has_conversation: whether it has one
--   category: that of the record, see main.judged; null: it has none
--   rejected, is_reserved: see main.judged
--   has_messages, pair_created_at, reason: see temp.written
create view main.named as
with carried as ( -- what the rows do not carry is not read
    select
        bool_or(title is not null) as has_title,
        bool_or(prompt is not null) as has_prompt,
        bool_or(response is not null) as has_response,
        bool_or(messages is not null) as has_conversations,
    from temp.written
),

record as ( -- of those that rows name, see choose.sql
    select
        record.record_key,
        hash(record.item_sha256) as item_sha256,
        hash(record.source) as source_hash,
        hash(record.task_id) as task_id_hash,
        hash(record.run_id) as run_id_hash,
        hash(record.model) as model_hash,
        -- a title costs more than all the others
        case when carried.has_title then policy.title(record.prompt) end as whole_title,
        hash(case when not policy.is_blank(whole_title) then whole_title end) as title_hash,
        case when carried.has_prompt then hash(record.prompt) end as prompt_text_hash,
        case when carried.has_response then hash(record.response) end as response_text_hash,
        record.answer_end is not null as has_conversation,
        case
            when carried.has_conversations then hash(policy.conversation(record.messages, record.answer_end))
        end as messages_hash,
        hash(case when has_conversation then record.tools end) as tools_of_messages_hash,
        hash(record.tools) as tools_hash,
        record.prompt_sha256,
        record.tools_sha256,
        case when wanted.prompt_messages then hash(
            case
                when has_conversation then policy.prompt_messages(record.messages, record.prompt_end)
                else policy.message('user', record.prompt)
            end
        ) end as prompt_messages_hash,
        case when wanted.answer_messages then hash(
            case
                when has_conversation then policy.answer_messages(record.messages, record.prompt_end, record.answer_end)
                else policy.message('assistant', record.response)
            end
        ) end as answer_messages_hash,
        record.comparison as own_comparison,
        record.evidence_id,
        record.task_id,
        record.run_id,
        record.created_at,
        record.answer_hash,
    from evidence.record as record
    inner join temp.wanted as wanted on record.record_key = wanted.record_key
    cross join carried
)

select
    written.id,
    written.side,
    coalesce(written.item_sha256 = record.item_sha256 and judged.category is not null, false) as is_named,
    case
        when written.source <> record.source_hash then 'source'
        when written.task_id <> record.task_id_hash then 'task_id'
        when written.run_id <> record.run_id_hash then 'run_id'
        when written.model <> record.model_hash then 'model'
        when written.title <> record.title_hash then 'title'
        when written.prompt <> record.prompt_text_hash then 'prompt'
        when written.response <> record.response_text_hash then 'response'
        when written.messages <> record.messages_hash then 'messages'
        when written.prompt_messages <> record.prompt_messages_hash then 'prompt_messages'
        when written.answer_messages <> record.answer_messages_hash then 'messages'
        when written.tools <> record.tools_of_messages_hash then 'tools'
        when written.pair_tools <> record.tools_hash then 'tools'
        when written.category <> hash(judged.category) then 'category'
        when written.created_at <> hash(epoch_us(record.created_at)) then 'created_at'
    end as differing,
    record.evidence_id,
    record.task_id,
    record.run_id,
    record.created_at,
    -- its own, else that of the grades that decide
    coalesce(record.own_comparison, judged.comparison) as comparison,
    record.answer_hash,
    record.prompt_sha256,
    record.tools_sha256,
    record.has_conversation,
    written.has_messages,
    judged.category,
    judged.rejected,
    judged.is_reserved,
    written.pair_created_at,
    written.reason,
from temp.written as written
left join main.judged as judged on written.place = judged.place
left join record on judged.record_key = record.record_key
