-- One row per run and figure that is compared with the prior run, with the result of each condition.
-- These figures are compared: the records of each source and of all sources, as volumes; the candidate pairs per scored record;
-- and, as shares of the records that their stage took in, each category, each reason, and what collect and the exports accept.
-- Only stages that were done in both runs are compared, and shares only if both runs had records in.
-- One fact is compared once. What score and the exports take in is what the stage before passed on, so it is not compared. A
-- figure that equals one at an earlier stage repeats it, and so does the volume of all sources if there is only one. A sum (all
-- records, all accepted) is reported only if none of its parts is as severe.
-- A change warns if one of the two counts is at least drift_min_count, the relative change is above drift_threshold, and p is
-- below p_limit. It alerts if also the change is at least drift_alert_change and p is below drift_alert_p. What is new warns.
-- What has vanished warns, and alerts if there were at least drift_vanished_count records of it.
-- p is computed by Barndorff-Nielsen's r* = w + ln(u / w) / w with a continuity correction of 1/2, where w is the signed root
-- of the deviance and u Pearson's statistic; docs/drift.md has the formulas and the measured error.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   prior_run_id: the run that it is compared with, see drift.baseline
--   stage: the stage, see policy.stage
--   position: the place of the stage in the order of stages, from 1
--   kind: source (the records of a source), volume (the records of all sources), pairs (the candidate pairs), category, reason
--       or accepted
--   stat: the count of the stage that the figure belongs to: records_in, accepted, rejected, quarantined or skipped
--   counter: what is counted: a source, category or reason; or "records in", "pairs in", accepted
--   prior_records: the count in the prior run; 0: the counter is new
--   prior_exposure: out of how many records it was counted there; 1 for a volume
--   records: the count in this run; 0: the counter has vanished
--   exposure: out of how many records it is counted here; 1 for a volume
--   change: the relative change of the share or volume; 0.5 is half as much again; null: the counter is new
--   p: the two-sided probability that two such counts, given their sum, differ so much by chance (conditional binomial, in the
--       proportion of the exposures); null: the counter is new or has vanished
--   p_limit: drift_significance divided by comparisons (Bonferroni); null: there are no comparisons
--   comparisons: how many figures of this run are compared: those that both runs have, without repeated ones
--   is_enough: whether one of the two counts is at least drift_min_count
--   is_above_threshold: whether the relative change is above drift_threshold
--   is_no_chance: whether p is below p_limit; null where p is
--   is_repeated: whether it has the figures of an earlier stage; or is the volume of all sources, and there is only one
--   is_told_by_parts: whether it is a sum, and one of its parts is at least as severe
--   severity: ok, warn or alert, by the conditions alone; drift.flag leaves out what is repeated or told by parts
--   why: what each condition says, for people
with paired as (
    select
        baseline.run_id,
        baseline.prior_run_id,
        present.stage,
        present.position,
    from drift.baseline as baseline
    inner join receipts.stage as present on baseline.run_id = present.run_id
    inner join receipts.stage as past on baseline.prior_run_id = past.run_id and present.stage = past.stage
    where present.status in ('ok', 'reused') and past.status in ('ok', 'reused')
),

-- A counter that one of the runs lacks counts 0 there.
side as (
    select
        paired.*,
        past.kind,
        past.stat,
        past.counter,
        past.records as prior_records,
        0::bigint as records,
        past.exposure as prior_exposure,
        0::bigint as exposure,
    from paired
    inner join drift.metric as past on paired.prior_run_id = past.run_id and paired.stage = past.stage
    union all
    select
        paired.*,
        present.kind,
        present.stat,
        present.counter,
        0::bigint as prior_records,
        present.records,
        0::bigint as prior_exposure,
        present.exposure,
    from paired
    inner join drift.metric as present on paired.run_id = present.run_id and paired.stage = present.stage
),

summed as (
    select
        run_id,
        prior_run_id,
        stage,
        position,
        kind,
        stat,
        counter,
        max(prior_records) as prior_records,
        max(records) as records,
        max(prior_exposure) as own_prior_exposure,
        max(exposure) as own_exposure,
        case
            when kind in ('source', 'volume') then 'volume'
            when kind = 'pairs' then 'rate'
            else 'share'
        end as measure,
    from side
    group by run_id, prior_run_id, stage, position, kind, stat, counter
),

-- The exposure is that of the stage: where a run lacks a counter, its stage took those records in all the same.
exposed as (
    select
        *,
        max(own_prior_exposure) over (partition by run_id, stage, measure) as prior_exposure,
        max(own_exposure) over (partition by run_id, stage, measure) as exposure,
    from summed
),

-- Equal figures at two stages are one fact, whatever they are called. A new or vanished class has few figures, so there the
-- name must be equal too.
compared as (
    select
        *,
        prior_records > 0 and records > 0 as is_in_both,
        case when not is_in_both then counter end as fact,
    from exposed
    where prior_exposure > 0 and exposure > 0 and prior_records + records > 0
),

counted as (
    select
        *,
        case
            when kind = 'volume'
                then count(*) filter (where kind = 'source') over (partition by run_id, measure, prior_records, records) > 0
            else
                rank() over (
                    partition by run_id, measure, kind = 'volume', fact, prior_records, records, prior_exposure, exposure
                    order by position
                ) > 1
        end as is_repeated,
    from compared
),

-- Of the run that has fewer records than its exposure suggests: how many they are, plus 1/2, and how many are expected.
expected as (
    select
        *,
        count(*) filter (where is_in_both and not is_repeated) over (partition by run_id) as comparisons,
        prior_records + records as total,
        case
            when records::hugeint * prior_exposure <= prior_records::hugeint * exposure then records
            else prior_records
        end + 0.5::double as fewer,
        total * (
            case
                when records::hugeint * prior_exposure <= prior_records::hugeint * exposure then exposure
                else prior_exposure
            end / (prior_exposure::double + exposure)
        ) as mean,
    from counted
),

deviated as (
    select
        *,
        mean - fewer as distance,
        (mean - fewer) * sqrt(total / (mean * (total - mean))) as u,
        case
            when is_in_both and fewer < mean
                then sqrt(2 * (
                    mean * drift.excess((fewer - mean) / mean)
                    + (total - mean) * drift.excess((mean - fewer) / (total - mean))
                ))
        end as w,
    from expected
),

-- Within a hundredth of a standard deviation r* divides zero by zero, and p is 1 to within a hundredth, so it is set to 1.
likely as (
    select
        *,
        case
            when not is_in_both then null
            when u > 0.01 then least(0, ln(2) + drift.normal_log_tail(greatest(w + ln(u / w) / w, 0)))
            else 0
        end as log_p,
    from deviated
),

held as (
    select
        likely.*,
        case when likely.log_p < -690 then 0 else exp(likely.log_p) end as p,
        likely.records::double * likely.prior_exposure / nullif(likely.prior_records::double * likely.exposure, 0) - 1
            as change,
        setting.drift_significance / nullif(likely.comparisons, 0) as p_limit,
        greatest(likely.prior_records, likely.records) >= setting.drift_min_count as is_enough,
        drift.relative_change(likely.prior_records, likely.prior_exposure, likely.records, likely.exposure)
        > drift.of_prior(setting.drift_threshold, likely.prior_records, likely.exposure) as is_above_threshold,
        drift.relative_change(likely.prior_records, likely.prior_exposure, likely.records, likely.exposure)
        >= drift.of_prior(setting.drift_alert_change, likely.prior_records, likely.exposure) as is_alert_change,
        setting.drift_min_count,
        setting.drift_threshold,
        setting.drift_alert_change,
        setting.drift_alert_p,
        setting.drift_vanished_count,
    from likely
    cross join policy.setting as setting
),

judged as (
    select
        *,
        p < p_limit as is_no_chance,
        case
            when prior_records = 0 then 'warn'
            when records = 0 then case when prior_records >= drift_vanished_count then 'alert' else 'warn' end
            when not (is_enough and is_above_threshold and p < p_limit) then 'ok'
            when is_alert_change and p < drift_alert_p then 'alert'
            else 'warn'
        end as severity,
        list_position(['ok', 'warn', 'alert'], severity) as rank,
    from held
),

told as (
    select
        *,
        first_value(counter || ' at ' || stage) over (
            partition by run_id, measure, kind = 'volume', fact, prior_records, records, prior_exposure, exposure
            order by position, counter
        ) as first_told,
        kind in ('volume', 'accepted')
        and severity <> 'ok'
        and rank <= max(rank) filter (where kind in ('source', 'reason')) over (partition by run_id, stage, measure)
            as is_told_by_parts,
    from judged
)

select
    run_id,
    prior_run_id,
    stage,
    position,
    kind,
    stat,
    counter,
    prior_records,
    prior_exposure,
    records,
    exposure,
    change,
    p,
    p_limit,
    comparisons,
    is_enough,
    is_above_threshold,
    is_no_chance,
    is_repeated,
    coalesce(is_told_by_parts, false) as is_told_by_parts,
    severity,
    case
        when is_repeated and kind = 'volume' then 'the same figures as its only source'
        when is_repeated then format('the same figures as {}', first_told)
        when is_told_by_parts then 'told by what it sums up'
        when prior_records = 0 then 'new: it was 0'
        when records = 0
            then format(
                'vanished: it was {:,}, {} {:,}',
                prior_records,
                case when prior_records >= drift_vanished_count then 'at least' else 'fewer than' end,
                drift_vanished_count
            )
        else concat_ws(
            '; ',
            case when not is_enough then format('too few: neither count is {:,} or more', drift_min_count) end,
            case
                when is_above_threshold
                    then format('above the threshold: {:+.1f} % > {:g} %', 100 * change, 100 * drift_threshold)
                else format('not above the threshold: {:+.1f} % <= {:g} %', 100 * change, 100 * drift_threshold)
            end,
            case
                when is_no_chance then format('no chance: p = {:.2g} < {:.2g} for {} comparisons', p, p_limit, comparisons)
                else format('could be chance: p = {:.2g} >= {:.2g} for {} comparisons', p, p_limit, comparisons)
            end,
            case
                when severity = 'warn' and not is_alert_change
                    then format('no alert: below {:g} %', 100 * drift_alert_change)
                when severity = 'warn' then format('no alert: p >= {:.2g}', drift_alert_p)
            end
        )
    end as why,
from told
