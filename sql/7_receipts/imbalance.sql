-- One row per run and rule of bookkeeping that its receipts break (problem is the sentence). No rows: the books balance.
with done as (
    select *
    from receipts.stage
    where status in ('ok', 'reused')
),

stat as (
    unpivot done
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

fate as (
    select
        run_id,
        sum(records)::bigint as records,
    from receipts.fate
    group by run_id
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
    after.run_id,
    after.stage,
    format('{}: {} records in, but {} passed on {}.', after.stage, after.records_in, before.stage, before.records_out)
        as problem,
from done as after
inner join done as before
    on
        after.run_id = before.run_id
        and (
            (before.stage = 'collect' and after.stage = 'score')
            or (before.stage = 'score' and after.stage in ('export-rag', 'export-sft'))
        )
where after.records_in <> before.records_out
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
    format('{}: {} records scored, but their fates sum to {}.', pairing.stage, score.records_in, coalesce(fate.records, 0))
        as problem,
from done as pairing
inner join done as score on pairing.run_id = score.run_id and score.stage = 'score'
left join fate on pairing.run_id = fate.run_id
where pairing.stage = 'export-preference' and score.records_in <> coalesce(fate.records, 0)
