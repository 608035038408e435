-- The rows of raw.mapped of a mapping that gives a row for each item, in their order: given is what it gives, items are the items,
-- conversations are messages and tools of the rows in normal form; it is empty where no row has any.
-- A row that names another item than that at its position has no item_sha256.
select
    given.* replace (
        item.source as source,
        item.source_path as source_path,
        item.item_number as item_number,
        case
            when
                coalesce(given.source_path, item.source_path) = item.source_path
                and coalesce(given.item_number, item.item_number) = item.item_number
                then item.item_sha256
        end as item_sha256,
        conversation.messages as messages,
        conversation.tools as tools,
        conversation.prompt_end as prompt_end,
        conversation.answer_end as answer_end,
        coalesce(given.problem, item._problem, conversation.problem) as problem,
        case
            when given.problem is not null then given.detail
            when item._problem is not null then item._detail
            else conversation.detail
        end as detail
    ),
from items as item
positional join raw.main.given as given
positional join conversations as conversation
