-- One row per run: the run that it is compared with, the findings, and how severe they are.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   seq: the number of the run in this root, from 1
--   prior_run_id: the run that it is compared with; null: no earlier run published
--   severity: ok, warn or alert: the worst of the findings
--   flags: the findings by stage, each one sentence, see drift.flag
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
