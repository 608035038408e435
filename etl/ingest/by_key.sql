-- The rows of raw.mapped of a mapping that names the item of each of its rows: given is what it gives, items are the items,
-- conversations are messages and tools of the rows in normal form; it is empty where no row has any. A row of which there is no item
-- has no item_sha256.
with normal as (
    select
        given.* replace (
            conversation.messages as messages,
            conversation.tools as tools,
            conversation.prompt_end as prompt_end,
            conversation.answer_end as answer_end
        ),
        conversation.problem as conversation_problem,
        conversation.detail as conversation_detail,
    from raw.main.given as given
    positional join conversations as conversation
)

select
    normal.* exclude (conversation_problem, conversation_detail) replace (
        item.source as source,
        item.item_sha256 as item_sha256,
        coalesce(normal.problem, item._problem, normal.conversation_problem) as problem,
        case
            when normal.problem is not null then normal.detail
            when item._problem is not null then item._detail
            else normal.conversation_detail
        end as detail
    ),
from normal
left join items as item
    on normal.source_path = item.source_path and normal.item_number = item.item_number
