-- One row per run, Parquet file and column that only this run or only the prior run has. Files that one of the two runs did not
-- write, or whose columns were not recorded, are not compared.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   prior_run_id: the run that it is compared with, see drift.baseline
--   stage: the stage, see policy.stage
--   path: the file, relative to the root; of a dataset in parts their folder
--   field: the column's name and type, such as "id: string"
--   is_new: true: only this run has the column; false: only the prior run has it
with present as (
    select
        baseline.run_id,
        baseline.prior_run_id,
        field.stage,
        field.path,
        field.field,
    from drift.baseline as baseline
    inner join receipts.file_column as field on baseline.run_id = field.run_id
),

past as (
    select
        baseline.run_id,
        baseline.prior_run_id,
        field.stage,
        field.path,
        field.field,
    from drift.baseline as baseline
    inner join receipts.file_column as field on baseline.prior_run_id = field.run_id
),

changed as (
    select
        present.*,
        true as is_new,
    from present
    semi join past on present.run_id = past.run_id and present.path = past.path
    anti join past as same
        on present.run_id = same.run_id and present.path = same.path and present.field = same.field
    union all
    select
        past.*,
        false as is_new,
    from past
    semi join present on past.run_id = present.run_id and past.path = present.path
    anti join present as same
        on past.run_id = same.run_id and past.path = same.path and past.field = same.field
)

select
    run_id,
    prior_run_id,
    stage,
    path,
    field,
    is_new,
from changed
