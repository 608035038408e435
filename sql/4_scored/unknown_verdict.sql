-- One row per source and verdict that is not a word of policy.verdict: its records need human review, unless a person decided.
-- The end of a run and etl health list them, because such a word is often one that only has to be added there.
--   source: the source of the records
--   verdict: the verdict, trimmed and in lower case
--   records: how many records have it
with spelling as ( -- few, so that not every record is normalised
    select
        record.source,
        record.verdict,
        count(*) as records,
    from evidence.stored_record as record
    where record.verdict is not null
    group by record.source, record.verdict
)

select
    spelling.source,
    policy.verdict_word(spelling.verdict) as verdict,
    sum(spelling.records)::bigint as records,
from spelling
where
    policy.verdict_word(spelling.verdict) is not null
    and policy.verdict_word(spelling.verdict) not in (select word.verdict from policy.verdict as word)
group by spelling.source, policy.verdict_word(spelling.verdict)
