-- One row per run and thing worth saying about it, with its severity (ok, warn, alert) and one sentence.
-- A count or category warns when it swings by more than the drift_threshold, and always when it was zero before. The threshold
-- is compared as a decimal: a swing of exactly 29 % is not above 29 %.
with swing as (
    select
        counter.*,
        setting.drift_threshold,
    from drift.counter as counter
    cross join policy.setting as setting
    where
        counter.records <> counter.prior_records
        and (
            counter.prior_records = 0
            or abs(counter.records - counter.prior_records) > setting.drift_threshold::decimal(18, 9) * counter.prior_records
        )
),

-- Categories are counters already, so the score stage has no reasons of its own here.
seen as (
    select
        baseline.run_id,
        baseline.prior_run_id,
        reason.stage,
        reason.stat,
        reason.reason,
        reason.records,
    from drift.baseline as baseline
    inner join receipts.reason as reason on baseline.run_id = reason.run_id
    inner join receipts.stage as past
        on baseline.prior_run_id = past.run_id and reason.stage = past.stage and past.status in ('ok', 'reused')
    where reason.stage <> 'score' and reason.records > 0
),

unseen as (
    select seen.*
    from seen
    anti join receipts.reason as past
        on
            seen.prior_run_id = past.run_id
            and seen.stage = past.stage
            and seen.stat = past.stat
            and seen.reason = past.reason
            and past.records > 0
),

flagged as (
    select
        run_id,
        'ok' as severity,
        0 as position,
        '' as stage,
        'no prior; baseline established' as flag,
    from drift.baseline
    where prior_run_id is null
    union all
    select
        run_id,
        'alert' as severity,
        position,
        stage,
        format(
            '{}: deterministic_violation: run {} had the same inputs, code, settings and engine, and another output.',
            stage, differs_from
        ) as flag,
    from drift.delta
    where deterministic_violation
    union all
    select
        run_id,
        'warn' as severity,
        position,
        stage,
        case
            when prior_records = 0
                then format('{}: {} was 0 in the prior run and is {} now.', stage, counter, records)
            else format(
                '{}: {} went from {} to {} ({:+.1f} %; threshold {:.1f} %).',
                stage, counter, prior_records, records, pct_change, 100 * drift_threshold
            )
        end as flag,
    from swing
    union all
    select
        unseen.run_id,
        'warn' as severity,
        stage.position,
        unseen.stage,
        format(
            '{}: {} {} for {}, a reason that the prior run never had.',
            unseen.stage, unseen.records, unseen.stat, unseen.reason
        ) as flag,
    from unseen
    inner join receipts.stage as stage on unseen.run_id = stage.run_id and unseen.stage = stage.stage
)

select
    run_id,
    severity,
    position,
    stage,
    flag,
from flagged
