-- One row per record that is not a grade: what its own signals and those of the grades that meet it say, by all rules but parent,
-- which depends on other records of the task.
-- key: task_id; scored.graded and scored.attempt_override by task_id.
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
--   content_hash: its content: equal where conversations are, or prompt and response, as texts are compared
--   turn_hash: its turn: equal where prompt and response are, as texts are compared
--   has_conversation: whether it has a conversation
--   is_response_blank: whether its response is blank
--   category: its category; null: no rule but parent can decide
--   rule: the rule that decided; null: none did
--   is_by_grade: whether a grade has a signal of that rule
--   comparison: its own, else that of the grades that decided; null: none, or several
--   has_several_comparisons: whether grades of several comparisons decided, and it has none of its own
--   decided_in: the comparison in which all signals of that rule stand; null: they do not stand in one, or a person decided
--   score: the lowest score of its own and of the grades; null: none
--   reasons: all signals seen, also of rules that did not decide
with joined as (
    select
        signal.* exclude (score, reasons, comparison),
        signal.comparison as own_comparison,
        attempt.category as by_override,
        graded.record_key is not null as is_graded,
        case
            when graded.record_key is not null then graded.category
            else coalesce(
                signal.by_infrastructure_error,
                signal.by_verdict,
                signal.by_score,
                signal.by_grounded_fraction,
                signal.by_markers
            )
        end as by_signals,
        case
            when graded.record_key is not null then graded.rule
            when signal.by_infrastructure_error is not null then 'infrastructure_error'
            when signal.by_verdict is not null then 'verdict'
            when signal.by_score is not null then 'score'
            when signal.by_grounded_fraction is not null then 'grounded_fraction'
            when signal.by_markers is not null then 'markers'
        end as rule_of_signals,
        case
            when attempt.category is not null then attempt.is_by_grade
            else coalesce(graded.is_by_grade, false)
        end as is_by_grade,
        coalesce(case when attempt.category is not null then attempt.comparisons else graded.comparisons end, [])
            as comparisons,
        case when graded.record_key is not null then graded.decided_in else signal.comparison end as decided_in_signals,
        case when graded.record_key is not null then graded.score else signal.score end as score,
        list_concat(coalesce(attempt.reasons, []), signal.reasons, coalesce(graded.reasons, [])) as reasons,
    from scored.signal as signal
    left join scored.attempt_override as attempt
        on
            signal.task_id = attempt.task_id
            and signal.run_id is not distinct from attempt.run_id
            and case when signal.run_id is null then signal.record_key end is not distinct from attempt.lone_key
    left join scored.graded as graded on signal.record_key = graded.record_key
    where signal.source_class <> 'grade'
)

select
    record_key,
    source_path,
    item_number,
    record_number,
    item_sha256,
    evidence_id,
    source,
    source_class,
    run_id,
    task_id,
    created_at,
    model,
    content_hash,
    turn_hash,
    has_conversation,
    is_response_blank,
    case
        when by_override is not null then by_override
        -- what an extraction says of itself by markers is not asked
        when source_class = 'extraction' and rule_of_signals = 'markers' then null
        else by_signals
    end as category,
    case
        when by_override is not null then 'human_override'
        when source_class = 'extraction' and rule_of_signals = 'markers' then null
        else rule_of_signals
    end as rule,
    is_by_grade and (by_override is not null or source_class <> 'extraction' or rule_of_signals <> 'markers') as is_by_grade,
    coalesce(own_comparison, case when len(comparisons) = 1 then comparisons[1] end) as comparison,
    own_comparison is null and len(comparisons) > 1 as has_several_comparisons,
    case when by_override is null then decided_in_signals end as decided_in,
    score,
    reasons,
from joined
