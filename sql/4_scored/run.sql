-- One row per record that is not a grade: its category, and the rule that decided it, which is the first that has a signal. A record
-- without any signal needs human review; a missing grade never counts as a bad one.
-- key: task_id.
--   record_key: the record within this warehouse, for joins; see evidence.record
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   item_sha256: sha256 hex of the item's bytes, of a line without the line feed
--   evidence_id: the record across warehouses; equal for identical items
--   source: the source, which is the name of its mapping
--   source_class: verdict, telemetry, experiment or extraction
--   run_id: the agent's run at the task; null: the item names none
--   task_id: the task that the agent worked on
--   created_at: the time that the item gives, UTC; null: it gives none
--   model: the model, as the source spells it; null: not named
--   content_hash: the content of the record: equal where conversations are, or prompt and response, as texts are compared
--   turn_hash: its turn: equal where prompt and response are, as texts are compared
--   has_conversation: whether it has a conversation
--   is_response_blank: whether its response is blank
--   category: accepted, partially_accepted, rejected or needs_human_review
--   rule: human_override (in any record or grade of the attempt), infrastructure_error, verdict, score, grounded_fraction, parent (of
--       an extraction: the verdicts on its task), markers or no_signal; tried in this order, but an extraction has no rule after
--       parent
--   comparison: the scale or contest of its score and verdict, its own or that of the grades that decided; null: none, or several
--   has_several_comparisons: whether grades of several comparisons decided, so that it has no side in a pair
--   decided_in: the comparison in which all signals that decided stand; null: they do not stand in one, or a person decided
--   score: the lowest score of its own and of the grades that meet it; null: none
--   reasons: all signals seen, also of rules that did not decide, such as "verdict: approve"
with decided as ( -- named once, so that a plain shell computes it once
    from scored.decided
),

-- What was extracted from a task takes the category that all its records of the class verdict have, and others that a grade decided;
-- null: they disagree.
parent as (
    select
        task_id,
        case
            when count(distinct coalesce(category, 'needs_human_review')) = 1
                then min(coalesce(category, 'needs_human_review'))
        end as category,
    from decided
    where source_class = 'verdict' or is_by_grade
    group by task_id
)

select
    decided.record_key,
    decided.source_path,
    decided.item_number,
    decided.record_number,
    decided.item_sha256,
    decided.evidence_id,
    decided.source,
    decided.source_class,
    decided.run_id,
    decided.task_id,
    decided.created_at,
    decided.model,
    decided.content_hash,
    decided.turn_hash,
    decided.has_conversation,
    decided.is_response_blank,
    case
        when decided.category is not null then decided.category
        when decided.source_class = 'extraction' then coalesce(parent.category, 'needs_human_review')
        else 'needs_human_review'
    end as category,
    case
        when decided.rule is not null then decided.rule
        when decided.source_class = 'extraction' then 'parent'
        else 'no_signal'
    end as rule,
    decided.comparison,
    decided.has_several_comparisons,
    case when decided.rule is not null then decided.decided_in end as decided_in,
    decided.score,
    case
        when decided.source_class <> 'extraction' then decided.reasons
        when parent.task_id is null then list_append(decided.reasons, 'parent: none')
        else list_append(decided.reasons, 'parent: ' || coalesce(parent.category, 'disagree'))
    end as reasons,
from decided
left join parent on decided.task_id = parent.task_id
