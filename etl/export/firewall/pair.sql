-- The first written row that must not ship, of a dataset of pairs; no row where all may.
--   id: the id of the written row
--   problem: what is wrong with it, as the end of a sentence that begins with the row
--   $dataset: the name of the dataset
--   $preferences: which category a pair may set over which, as 'accepted over rejected'
with looked_up as materialized (from named),

pair as (
    select
        chosen.id,
        chosen.is_named and rejected.is_named as is_named,
        chosen.is_carried and rejected.is_carried as is_carried,
        sha256(concat($dataset, chr(31), chosen.evidence_id, chr(31), rejected.evidence_id)) as id_of_both,
        coalesce(chosen.task_id = rejected.task_id, false) as is_one_task,
        coalesce(chosen.run_id = rejected.run_id, true) as is_one_run,
        chosen.response = rejected.response as is_one_text,
        concat(chosen.category, ' over ', rejected.category) as categories,
    from looked_up as chosen
    inner join looked_up as rejected on chosen.id is not distinct from rejected.id
    where chosen.side = 'chosen' and rejected.side = 'rejected'
)

select
    id,
    case
        when not is_named or not is_one_task or coalesce(id <> id_of_both, true)
            then 'is not made from two records of one task in scored.run'
        when not is_carried then 'does not carry the text and run of the records it names'
        when is_one_run then 'compares a run with itself'
        when is_one_text then 'compares a text with itself'
        when not list_contains($preferences, categories) then concat('sets ', categories, ', which is not a preference')
    end as problem,
from pair
where problem is not null
union all
select
    id,
    'is there twice' as problem,
from raw.main.written
where side = 'chosen'
group by id
having count(*) > 1
order by id, problem
limit 1
