-- One row per run: the run it is compared with and how bad the drift is: the worst severity of its flags.
select
    baseline.run_id,
    baseline.seq,
    baseline.prior_run_id,
    case
        when bool_or(flag.severity = 'alert') then 'alert'
        when bool_or(flag.severity = 'warn') then 'warn'
        else 'ok'
    end as severity,
    count(flag.flag) filter (where flag.severity <> 'ok') as flags,
from drift.baseline as baseline
left join drift.flag as flag on baseline.run_id = flag.run_id
group by baseline.run_id, baseline.seq, baseline.prior_run_id
