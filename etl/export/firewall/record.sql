-- The first written row that must not ship, of a dataset of records; no row where all may.
--   id: the id of the written row
--   problem: what is wrong with it, as the end of a sentence that begins with the row
--   $dataset: the name of the dataset
--   $never: the categories that may never enter it
select
    id,
    case
        when not is_named or coalesce(id <> sha256(concat($dataset, chr(31), evidence_id)), true)
            then 'is not a record of scored.run'
        when list_contains($never, category) then concat('is ', category, ', which may never enter ', $dataset)
        when is_reserved then 'is of a task that is held out'
        when rejected is not null then concat('ships although its ', rejected, ' is rejected in another record')
        when differing is not null then concat('does not carry the ', differing, ' of the record it names')
    end as problem,
from main.named
where problem is not null
order by id, problem
limit 1
