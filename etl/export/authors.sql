-- Who wrote the answers of the rows that ship: of a pair both sides.
--   dataset: the dataset
--   source: the source of the record
--   model: the model, as the source spells it; null: not named
--   answers: how many answers of the dataset the model wrote
--   $datasets: the datasets that are asked for
--   left_out: the ids of rows that an export leaves out, a table that is lent
with answer as (
    select
        dataset,
        id,
        record_key,
    from datasets.decision
    where list_contains($datasets, dataset) and quarantine_reason is null
    union all
    select
        dataset,
        id,
        unnest([chosen_key, rejected_key]) as record_key,
    from datasets.pair_decision
    where list_contains($datasets, dataset) and quarantine_reason is null and skip_reason is null
)

select
    answer.dataset,
    record.source,
    record.model,
    count(*) as answers,
from answer
inner join evidence.stored_record as record on answer.record_key = record.record_key
where answer.id not in (select left_out.id from left_out)
group by answer.dataset, record.source, record.model
order by answer.dataset asc, answers desc, record.source asc, record.model asc nulls last
