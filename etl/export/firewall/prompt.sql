-- The first row of prompts that must not be exported, or whose answers must not; no row where all may.
--   id: the id of the row
--   problem: what is wrong with it, as the end of a sentence that begins with the row
--   $are_reserved: whether all must be held out; else none may be
select
    id,
    case
        when not is_named then 'names a record that is not in scored.run'
        when side = 'record' and coalesce(id <> sha256(concat('prompt', chr(31), evidence_id)), true)
            then 'is not the prompt of the record it names'
        when is_reserved and not $are_reserved then 'is of a task that is held out'
        when $are_reserved and not is_reserved then 'is of a task that is not held out'
        when side = 'answer' and category <> 'accepted' then concat('has an answer that is ', category)
        when side = 'answer' and rejected is not null
            then concat('has an answer whose ', rejected, ' is rejected in another record')
        when differing is not null then concat('does not carry the ', differing, ' of the records it names')
    end as problem,
from main.named
where problem is not null
order by id, problem
limit 1
