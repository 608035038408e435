-- One row per run and finding about it: figures that changed (from drift.comparison), columns that are new or have vanished,
-- and outputs that differ although nothing that they depend on does. A run without a prior run has one that says so.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   severity: ok, warn or alert
--   position: the place of the stage in the order of stages, from 1; 0: it is about no stage
--   stage: the stage; empty: it is about no stage
--   flag: the finding, one sentence
with swing as (
    select
        comparison.*,
        case comparison.kind
            when 'source' then 'records of ' || policy.short(comparison.counter, 200)
            else policy.short(comparison.counter, 200)
        end as what,
        case
            when comparison.kind in ('source', 'volume')
                then format('{:,} to {:,}', comparison.prior_records, comparison.records)
            when comparison.kind = 'pairs'
                then format(
                    '{:.2f} to {:.2f} per record scored',
                    comparison.prior_records / comparison.prior_exposure, comparison.records / comparison.exposure
                )
            else format(
                '{} to {} of records in',
                drift.percent(comparison.prior_records / comparison.prior_exposure),
                drift.percent(comparison.records / comparison.exposure)
            )
        end as course,
        case
            when comparison.kind not in ('source', 'volume')
                then format(
                    '{:,} of {:,} to {:,} of {:,}',
                    comparison.prior_records, comparison.prior_exposure, comparison.records, comparison.exposure
                )
        end as counts,
        setting.drift_threshold,
    from drift.comparison as comparison
    cross join policy.setting as setting
    where comparison.severity <> 'ok' and not comparison.is_repeated and not comparison.is_told_by_parts
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
    from drift.stage_delta
    where deterministic_violation
    union all
    select
        run_id,
        severity,
        position,
        stage,
        format(
            '{}: {}{} went from {}{}.',
            stage,
            what,
            case when prior_records = 0 then ' is new: it' when records = 0 then ' has vanished: it' else '' end,
            course,
            case
                when p is not null
                    then format(
                        ' ({}{:+.1f} %, {}; threshold {:g} %)',
                        coalesce(counts || '; ', ''), 100 * change, drift.chance(p), 100 * drift_threshold
                    )
                when counts is not null then format(' ({})', counts)
                else ''
            end
        ) as flag,
    from swing
    union all
    select
        change.run_id,
        'warn' as severity,
        stage.position,
        change.stage,
        case
            when change.is_new then format('{}: {} has a new column, {}.', change.stage, change.path, change.field)
            else format('{}: {} no longer has the column {}.', change.stage, change.path, change.field)
        end as flag,
    from drift.schema_change as change
    inner join receipts.stage as stage on change.run_id = stage.run_id and change.stage = stage.stage
)

select
    run_id,
    severity,
    position,
    stage,
    flag,
from flagged
