-- One row per record that no defect keeps out of pairs; of equal contents in one group (a task, the messages of the
-- prompt and the tools as they stand, and a comparison) and category only the first by place.
-- key: task_id; scored.shared_content whole.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   evidence_id: the record across warehouses; equal for identical items
--   run_id: the agent's run at the task
--   task_id: the task
--   created_at: the time that the item gives, UTC; null: it gives none
--   prompt_sha256: sha256 of the messages of the prompt as they stand; null: not recorded
--   tools_sha256: sha256 of the definitions of the tools; null: none
--   comparison: the scale or contest within which its score and verdict compare; null: they compare within the task
--   is_prompt_blank: whether the prompt is blank
--   answer_hash: equal where the answers are, as texts are compared
--   content_hash: its content: equal where conversations are, or prompt and response, as texts are compared
--   turn_hash: its turn: equal where prompt and response are, as texts are compared
--   has_conversation: whether it has a conversation
--   is_response_blank: whether its response is blank
--   category: its category, see scored.run
--   has_several_comparisons: whether grades of several comparisons decided, so that it has no side
--   score: the lowest score of its own and of the grades that meet it; null: none
with refused as (
    select distinct
        eligibility.record_key,
        requirement.side,
    from scored.eligibility as eligibility
    inner join policy.requirement as requirement on eligibility.defect = requirement.defect
    inner join policy.dataset as dataset on requirement.dataset = dataset.dataset
    where dataset.grain = 'pair'
),

clean as not materialized (
    select
        run.record_key,
        run.source_path,
        run.item_number,
        run.record_number,
        run.evidence_id,
        run.run_id,
        run.task_id,
        run.created_at,
        record.prompt_sha256,
        record.tools_sha256,
        run.comparison,
        record.prompt_length = 0 as is_prompt_blank,
        record.answer_hash,
        run.content_hash,
        run.turn_hash,
        run.has_conversation,
        run.is_response_blank,
        run.category,
        run.has_several_comparisons,
        run.score,
    from scored.run as run
    inner join evidence.stored_record as record on run.record_key = record.record_key
    where not exists (
        select 1
        from refused
        where
            run.record_key = refused.record_key
            -- an accepted record is one that can be chosen
            and (refused.side is null or run.category = 'accepted')
    )
),

repeated as (
    select
        clean.record_key,
        row_number() over (
            partition by
                clean.task_id, clean.prompt_sha256, clean.tools_sha256, clean.comparison, clean.category, clean.content_hash
            order by clean.source_path, clean.item_number, clean.record_number
        ) as occurrence,
    from clean
    inner join scored.shared_content as shared on clean.content_hash = shared.content_hash
)

select
    clean.record_key,
    clean.source_path,
    clean.item_number,
    clean.record_number,
    clean.evidence_id,
    clean.run_id,
    clean.task_id,
    clean.created_at,
    clean.prompt_sha256,
    clean.tools_sha256,
    clean.comparison,
    clean.is_prompt_blank,
    clean.answer_hash,
    clean.content_hash,
    clean.turn_hash,
    clean.has_conversation,
    clean.is_response_blank,
    clean.category,
    clean.has_several_comparisons,
    clean.score,
from clean
anti join repeated on clean.record_key = repeated.record_key and repeated.occurrence > 1
