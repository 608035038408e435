-- One row per run, stage that was done and figure that drift compares: a count, and out of how many.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: the stage, see policy.stage
--   position: the place of the stage in the order of stages, from 1
--   kind: source (the records of a source), volume (the records of all sources), pairs (the candidate pairs), category, reason
--       or accepted
--   stat: the count of the stage that the figure belongs to: records_in, accepted, rejected, quarantined or skipped
--   counter: what is counted: a source, category or reason; or "records in", "pairs in", accepted
--   records: the count
--   exposure: out of how many: the records that the stage took in; for pairs those that were scored; 1 for source and volume,
--       which are compared as they stand
with done as (
    select *
    from receipts.stage
    where status in ('ok', 'reused')
),

-- The source is the first part of an evidence file's path, as the receipt of the run has it.
source as (
    select
        run_id,
        case
            when contains(path, '/') then split_part(path, '/', 1)
            else regexp_replace(path, '(\.(jsonl|ndjson)(\.[0-9]+)?|\.[^.]*)(\.(gz|zst|bz2|xz))?$', '', 'i')
        end as source,
        sum(record_count)::bigint as records,
    from receipts.file
    where stage = 'collect' and direction = 'input' and path <> '.etlignore'
    group by all
)

select
    collect.run_id,
    collect.stage,
    collect.position,
    'source' as kind,
    'records_in' as stat,
    source.source as counter,
    source.records,
    1::bigint as exposure,
from done as collect
inner join source on collect.run_id = source.run_id
where collect.stage = 'collect'
union all
select
    run_id,
    stage,
    position,
    'volume' as kind,
    'records_in' as stat,
    'records in' as counter,
    records_in as records,
    1::bigint as exposure,
from done
where stage = 'collect'
union all
select
    pairing.run_id,
    pairing.stage,
    pairing.position,
    'pairs' as kind,
    'records_in' as stat,
    'pairs in' as counter,
    pairing.records_in as records,
    score.records_in as exposure,
from done as pairing
inner join done as score on pairing.run_id = score.run_id and score.stage = 'score'
inner join policy.stage as stage on pairing.stage = stage.stage
inner join policy.dataset as dataset on stage.dataset = dataset.dataset
where dataset.grain = 'pair'
union all
select
    run_id,
    stage,
    position,
    case stage when 'score' then 'category' else 'accepted' end as kind,
    'accepted' as stat,
    'accepted' as counter,
    accepted as records,
    records_in as exposure,
from done
union all
select
    done.run_id,
    done.stage,
    done.position,
    case done.stage when 'score' then 'category' else 'reason' end as kind,
    reason.stat,
    reason.reason as counter,
    reason.records,
    done.records_in as exposure,
from done
inner join receipts.reason as reason on done.run_id = reason.run_id and done.stage = reason.stage
