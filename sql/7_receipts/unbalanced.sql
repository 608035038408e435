-- One row per run and counting rule that its receipts break. No rows: all counts add up.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: the stage whose counts do not add up
--   problem: what does not add up, one sentence
with done as (
    select
        receipt.*,
        dataset.grain,
    from receipts.stage as receipt
    left join policy.stage as stage on receipt.stage = stage.stage
    left join policy.dataset as dataset on stage.dataset = dataset.dataset
    where receipt.status in ('ok', 'reused')
),

-- A stage of records takes in what an earlier stage passed on.
passed_on as (
    select
        done.*,
        case
            when done.stage = 'score' then 'collect'
            when done.grain = 'record' then 'score'
        end as from_stage,
    from done
),

stat as (
    unpivot (
        select
            run_id,
            stage,
            rejected,
            quarantined,
            skipped,
        from done
    )
    on rejected, quarantined, skipped
    into name stat value records
),

reason as (
    select
        run_id,
        stage,
        stat,
        sum(records)::bigint as records,
    from receipts.reason
    group by run_id, stage, stat
),

outcome as (
    select
        run_id,
        stage,
        sum(records)::bigint as records,
    from receipts.outcome
    group by run_id, stage
)

select
    run_id,
    stage,
    format(
        '{}: {} records in, but {} accepted + {} rejected + {} quarantined + {} skipped.',
        stage, records_in, accepted, rejected, quarantined, skipped
    ) as problem,
from done
where records_in <> accepted + rejected + quarantined + skipped
union all
select
    run_id,
    stage,
    format('{}: {} accepted, but {} mapped + {} part.', stage, accepted, mapped, part) as problem,
from done
where accepted <> mapped + part
union all
select
    after.run_id,
    after.stage,
    format(
        '{}: {} records in and {} grades, but {} passed on {}.',
        after.stage, after.records_in, coalesce(after.grades, 0), before.stage, before.records_out
    ) as problem,
from passed_on as after
inner join done as before on after.run_id = before.run_id and after.from_stage = before.stage
where after.records_in + coalesce(after.grades, 0) <> before.records_out
union all
select
    stat.run_id,
    stat.stage,
    format('{}: {} {}, but the reasons sum to {}.', stat.stage, stat.records, stat.stat, coalesce(reason.records, 0))
        as problem,
from stat
left join reason on stat.run_id = reason.run_id and stat.stage = reason.stage and stat.stat = reason.stat
where stat.records <> coalesce(reason.records, 0)
union all
select
    score.run_id,
    pairing.stage,
    format(
        '{}: {} records scored, but their outcomes sum to {}.',
        pairing.stage, score.records_in, coalesce(outcome.records, 0)
    ) as problem,
from done as pairing
inner join done as score on pairing.run_id = score.run_id and score.stage = 'score'
left join outcome on pairing.run_id = outcome.run_id and pairing.stage = outcome.stage
where pairing.grain = 'pair' and score.records_in <> coalesce(outcome.records, 0)
