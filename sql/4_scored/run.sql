-- One row per record: its category, and the rule that decided it, which is the first that has a signal. A record without any
-- signal needs human review; a missing grade never counts as a bad one.
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
--   content_hash: the content of the record: equal where prompt and response are, as texts are compared
--   category: accepted, partially_accepted, rejected or needs_human_review
--   rule: human_override (in any record of the attempt), infrastructure_error, verdict, score, grounded_fraction, parent (of an
--       extraction: the verdicts on its task), markers or no_signal; tried in this order, but an extraction has no rule after
--       parent
--   reasons: all signals seen, also of rules that did not decide, such as "verdict: approve"
select
    signal.record_key,
    signal.source_path,
    signal.item_number,
    signal.record_number,
    signal.item_sha256,
    signal.evidence_id,
    signal.source,
    signal.source_class,
    signal.run_id,
    signal.task_id,
    signal.created_at,
    signal.model,
    signal.content_hash,
    case
        when signal.by_override is not null then signal.by_override
        when signal.by_infrastructure_error is not null then signal.by_infrastructure_error
        when signal.by_verdict is not null then signal.by_verdict
        when signal.by_score is not null then signal.by_score
        when signal.by_grounded_fraction is not null then signal.by_grounded_fraction
        when signal.source_class = 'extraction' then coalesce(task_verdict.category, 'needs_human_review')
        when signal.by_markers is not null then signal.by_markers
        else 'needs_human_review'
    end as category,
    case
        when signal.by_override is not null then 'human_override'
        when signal.by_infrastructure_error is not null then 'infrastructure_error'
        when signal.by_verdict is not null then 'verdict'
        when signal.by_score is not null then 'score'
        when signal.by_grounded_fraction is not null then 'grounded_fraction'
        when signal.source_class = 'extraction' then 'parent'
        when signal.by_markers is not null then 'markers'
        else 'no_signal'
    end as rule,
    case
        when signal.source_class <> 'extraction' then signal.reasons
        when task_verdict.verdicts is null then list_append(signal.reasons, 'parent: none')
        else list_append(signal.reasons, 'parent: ' || coalesce(task_verdict.category, 'disagree'))
    end as reasons,
from scored.signal as signal
left join scored.task_verdict as task_verdict on signal.task_id = task_verdict.task_id
