-- One row per eligible record that can stand on a side of a preference, ranked among those of its group and side. A group is the
-- records of one task with the same messages of the prompt and tools, as they stand, and the same comparison. A record that needs
-- human review has no side, nor one that grades of several comparisons decided, nor a partially accepted one if its group has an
-- eligible rejected record.
-- key: task_id.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   evidence_id: the record across warehouses; equal for identical items
--   run_id: the agent's run at the task
--   task_id: the task
--   prompt_sha256: sha256 of the messages of the prompt as they stand; null: not recorded
--   tools_sha256: sha256 of the definitions of the tools; null: none
--   comparison: the scale or contest within which its score and verdict compare; null: they compare within the task
--   is_prompt_blank: whether the prompt is blank
--   answer_hash: equal where the answers are, as texts are compared
--   content_hash: its content: equal where conversations are, or prompt and response, as texts are compared
--   turn_hash: its turn: equal where prompt and response are, as texts are compared
--   has_conversation: whether it has a conversation
--   is_response_blank: whether its response is blank
--   category: accepted, partially_accepted or rejected
--   side: chosen (accepted) or rejected (rejected, or partially accepted)
--   score: its score; null: none
--   rank: 1 is best: by score (highest first, null last), created_at (oldest first, null last), evidence_id
with eligible as ( -- named once, so that a plain shell computes it once
    from pairs.eligible
    where not has_several_comparisons
),

with_rejected as ( -- few groups, so a join with them is cheaper than a window over all records
    select distinct
        task_id,
        prompt_sha256,
        tools_sha256,
        comparison,
    from eligible
    where category = 'rejected'
),

sided as (
    select
        eligible.*,
        case when eligible.category = 'accepted' then 'chosen' else 'rejected' end as side,
    from eligible
    left join with_rejected
        on
            eligible.task_id = with_rejected.task_id
            and eligible.prompt_sha256 is not distinct from with_rejected.prompt_sha256
            and eligible.tools_sha256 is not distinct from with_rejected.tools_sha256
            and eligible.comparison is not distinct from with_rejected.comparison
    where
        eligible.category in ('accepted', 'rejected')
        or (eligible.category = 'partially_accepted' and with_rejected.task_id is null)
)

select
    record_key,
    source_path,
    item_number,
    record_number,
    evidence_id,
    run_id,
    task_id,
    prompt_sha256,
    tools_sha256,
    comparison,
    is_prompt_blank,
    answer_hash,
    content_hash,
    turn_hash,
    has_conversation,
    is_response_blank,
    category,
    side,
    score,
    row_number() over (
        partition by task_id, prompt_sha256, tools_sha256, comparison, side
        order by score desc nulls last, created_at asc nulls last, evidence_id asc
    ) as rank,
from sided
