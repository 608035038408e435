-- Adds to temp.written the records that written_rows names.
--   $side: which record of each row it is
--   $carried: what the rows carry, see temp.written
insert into temp.written
with row_of_records as (
    select
        *,
        list_contains($carried, 'answer_messages') as is_pair,
        answer_messages is not null or not is_pair as has_messages,
    from written_rows
)

select
    id,
    $side,
    hash(provenance.source_path, provenance.item_number, provenance.record_number),
    split,
    hash(provenance.item_sha256),
    case when list_contains($carried, 'source') then hash(source) end,
    case when list_contains($carried, 'task_id') then hash(task_id) end,
    case when list_contains($carried, 'run_id') then hash(run_id) end,
    case when list_contains($carried, 'model') then hash(model) end,
    case when list_contains($carried, 'title') then hash(title) end,
    case when list_contains($carried, 'prompt') then hash(prompt) end,
    case when list_contains($carried, 'response') then hash(response) end,
    case when list_contains($carried, 'messages') then hash(messages) end,
    case when list_contains($carried, 'tools') then hash(tools) end,
    case when has_messages and list_contains($carried, 'prompt_messages') then hash(prompt_messages) end,
    case when answer_messages is not null then hash(answer_messages) end,
    case when has_messages and list_contains($carried, 'pair_tools') then hash(pair_tools) end,
    case when list_contains($carried, 'category') then hash(category) end,
    case when list_contains($carried, 'created_at') then hash(epoch_us(created_at)) end,
    case
        when is_pair
            then answer_messages is not null
            -- where one is null, so are the others
            and (answer_messages is not null) = (prompt_messages is not null)
            and (answer_messages is not null or pair_tools is null)
    end,
    case when list_contains($carried, 'pair_created_at') then hash(epoch_us(pair_created_at)) end,
    case when list_contains($carried, 'reason') then hash(reason) end,
from row_of_records
