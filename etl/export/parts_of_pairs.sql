-- The parts that have rows of a dataset of pairs, or of what it refuses, in their order; see parts_of_records.sql.
--   ships: whether these are the rows that ship
--   part: the number of the part, see evidence.part
--   records: how many rows it has
--   digest: sha256 hex over the records and the decision of each row
--   $dataset: the name of the dataset
with decided as (
    select
        quarantine_reason is null as ships,
        part,
        chosen_key,
        rejected_key,
        concat_ws(
            chr(31),
            chosen_key,
            rejected_key,
            coalesce(chosen_category, ''),
            coalesce(rejected_category, ''),
            coalesce(reason, ''),
            split,
            array_to_string(quarantine_reasons, ','),
            to_json(detail)
        ) as decision,
    from datasets.pair_decision
    where dataset = $dataset and skip_reason is null
),

stretch as (
    select
        ships,
        part,
        chosen_key // 10000 as stretch,
        count(*) as records,
        sha256(string_agg(decision, chr(10) order by chosen_key, rejected_key)) as digest,
    from decided
    group by ships, part, chosen_key // 10000
)

select
    ships,
    part,
    sum(records)::bigint as records,
    sha256(string_agg(digest, chr(10) order by stretch)) as digest,
from stretch
group by ships, part
order by ships, part
