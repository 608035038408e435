-- One row per run: the run it is compared with, what is worth saying about the difference (flags: the worst first within their
-- stage), and how bad it is: the worst severity of its flags.
select
    baseline.run_id,
    baseline.seq,
    baseline.prior_run_id,
    case
        when bool_or(flag.severity = 'alert') then 'alert'
        when bool_or(flag.severity = 'warn') then 'warn'
        else 'ok'
    end as severity,
    coalesce(
        list(
            struct_pack(stage := flag.stage, flag := flag.flag)
            order by flag.position, flag.severity, flag.flag
        ) filter (where flag.flag is not null),
        []
    ) as flags,
from drift.baseline as baseline
left join drift.flag as flag on baseline.run_id = flag.run_id
group by baseline.run_id, baseline.seq, baseline.prior_run_id
