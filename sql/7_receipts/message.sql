-- One row per run, stage and message of its validation.
--   run_id: the run of etl, such as 20260301T100000Z-0007
--   stage: the stage, see policy.stage
--   level: error or warning
--   position: the place of the message among those of its level, from 1
--   message: one sentence
with document as (
    select
        json_transform(
            json,
            '{"run_id": "VARCHAR", "stage": "VARCHAR", "validation": {"errors": ["VARCHAR"], "warnings": ["VARCHAR"]}}'
        ) as receipt,
    from raw.document
    where not ends_with(path, '/summary.json')
)

select
    receipt.run_id,
    receipt.stage,
    'error' as level,
    generate_subscripts(receipt.validation.errors, 1)::integer as position,
    unnest(receipt.validation.errors) as message,
from document
union all
select
    receipt.run_id,
    receipt.stage,
    'warning' as level,
    generate_subscripts(receipt.validation.warnings, 1)::integer as position,
    unnest(receipt.validation.warnings) as message,
from document
