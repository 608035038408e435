-- The first written row that must not ship, of a dataset of pairs; no row where all may.
--   id: the id of the written row
--   problem: what is wrong with it, as the end of a sentence that begins with the row
--   $dataset: the name of the dataset
--   $preferences: which category a pair may set over which, as 'accepted over rejected'
with looked_up as materialized (from main.named),

pair as (
    select
        chosen.id,
        chosen.is_named and rejected.is_named as is_named,
        coalesce(chosen.differing, rejected.differing) as differing,
        sha256(concat($dataset, chr(31), chosen.evidence_id, chr(31), rejected.evidence_id)) as id_of_both,
        coalesce(chosen.task_id = rejected.task_id, false) as is_one_task,
        coalesce(chosen.run_id = rejected.run_id, true) as is_one_run,
        chosen.answer_hash = rejected.answer_hash as is_one_answer,
        (chosen.prompt_sha256 is not distinct from rejected.prompt_sha256)
        and (chosen.tools_sha256 is not distinct from rejected.tools_sha256)
        and (chosen.comparison is not distinct from rejected.comparison) as is_one_group,
        coalesce(chosen.has_messages = rejected.has_messages, true)
        and coalesce(chosen.has_messages = (chosen.has_conversation or rejected.has_conversation), true) as has_right_messages,
        concat(chosen.category, ' over ', rejected.category) as categories,
        chosen.is_reserved or rejected.is_reserved as is_reserved,
        chosen.rejected as chosen_rejected,
        case
            when chosen.pair_created_at <> hash(epoch_us(greatest(chosen.created_at, rejected.created_at)))
                then 'created_at'
            when chosen.reason <> hash(concat(chosen.category, '_over_', rejected.category)) then 'reason'
        end as differing_of_both,
    from looked_up as chosen
    inner join looked_up as rejected on chosen.id is not distinct from rejected.id
    where chosen.side = 'chosen' and rejected.side = 'rejected'
)

select
    id,
    case
        when not is_named or not is_one_task or coalesce(id <> id_of_both, true)
            then 'is not made from two records of one task in scored.run'
        when not list_contains($preferences, categories) then concat('sets ', categories, ', which is not a preference')
        when is_reserved then 'is of a task that is held out'
        when chosen_rejected is not null
            then concat('prefers a record whose ', chosen_rejected, ' is rejected in another record')
        when not is_one_group then 'compares answers to two prompts, with other tools or in two comparisons'
        when is_one_run then 'compares a run with itself'
        when is_one_answer then 'compares an answer with itself'
        when not has_right_messages then 'does not carry the messages of its two records'
        when differing is not null then concat('does not carry the ', differing, ' of the records it names')
        when differing_of_both is not null then concat('does not carry the ', differing_of_both, ' of its two records')
    end as problem,
from pair
where problem is not null
order by id, problem
limit 1
