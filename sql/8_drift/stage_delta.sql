-- One row per run and stage that was done: how it differs from the prior run. A difference is null where the prior run did not
-- do the stage.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: the stage, see policy.stage
--   position: the place of the stage in the order of stages, from 1
--   delta_records_in: how many more records went in; negative: fewer
--   delta_records_out: how many more records it passed on
--   delta_accepted: how many more records it accepted
--   delta_quarantined: how many more records it quarantined
--   pct_change_out: the change of the records passed on, in percent; null also where there were none
--   input_hash_match: whether both runs read the same
--   output_hash_match: whether both runs made the same
--   deterministic_violation: whether an earlier run had the same inputs, code, settings and engine, and another output
--   differs_from: the first such run; null: there is none
with done as (
    select
        stage.*,
        run.seq,
        collect.inputs_hash as evidence_hash,
    from receipts.stage as stage
    inner join receipts.run as run on stage.run_id = run.run_id
    inner join receipts.stage as collect on stage.run_id = collect.run_id and collect.stage = 'collect'
    where stage.status in ('ok', 'reused')
),

-- The evidence counts as an input of every stage, because line numbers reach the datasets and no relation's hash covers them.
repeated as (
    select
        present.run_id,
        present.stage,
        min_by(past.run_id, past.seq) as differs_from,
    from done as present
    inner join done as past
        on
            present.stage = past.stage
            and present.seq > past.seq
            and present.evidence_hash = past.evidence_hash
            and present.inputs_hash = past.inputs_hash
            and present.code_hash = past.code_hash
            and present.settings_hash = past.settings_hash
            and present.etl_version = past.etl_version
            and present.duckdb_version = past.duckdb_version
            and present.python_version = past.python_version
            and present.outputs_hash <> past.outputs_hash
    group by present.run_id, present.stage
)

select
    present.run_id,
    present.stage,
    present.position,
    present.records_in - past.records_in as delta_records_in,
    present.records_out - past.records_out as delta_records_out,
    present.accepted - past.accepted as delta_accepted,
    present.quarantined - past.quarantined as delta_quarantined,
    round(100.0 * (present.records_out - past.records_out) / nullif(past.records_out, 0), 2) as pct_change_out,
    present.inputs_hash = past.inputs_hash as input_hash_match,
    present.outputs_hash = past.outputs_hash as output_hash_match,
    repeated.differs_from is not null as deterministic_violation,
    repeated.differs_from,
from done as present
inner join drift.baseline as baseline on present.run_id = baseline.run_id
left join done as past on baseline.prior_run_id = past.run_id and present.stage = past.stage
left join repeated on present.run_id = repeated.run_id and present.stage = repeated.stage
