-- The parts that have rows of a dataset of records, or of what it refuses, in their order.
--   ships: whether these are the rows that ship
--   part: the number of the part, see evidence.part
--   records: how many rows it has
--   digest: sha256 hex over the record and the decision of each row. A record is never changed within a warehouse, so parts with
--       the same digest have the same rows
--   $dataset: the name of the dataset
with decided as (
    select
        quarantine_reason is null as ships,
        part,
        record_key,
        concat(
            record_key, chr(31), category, chr(31), split, chr(31), array_to_string(quarantine_reasons, ','), chr(31), to_json(detail)
        ) as decision,
    from datasets.decision
    where dataset = $dataset
),

stretch as ( -- in two steps, so that no text becomes long
    select
        ships,
        part,
        record_key // 10000 as stretch,
        count(*) as records,
        sha256(string_agg(decision, chr(10) order by record_key)) as digest,
    from decided
    group by ships, part, record_key // 10000
)

select
    ships,
    part,
    sum(records)::bigint as records,
    sha256(string_agg(digest, chr(10) order by stretch)) as digest,
from stretch
group by ships, part
order by ships, part
