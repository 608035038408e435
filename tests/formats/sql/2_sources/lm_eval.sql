-- One row per response of lm-evaluation-harness: a document of a task, and one of its repeats. The file of results beside
-- the samples, of the same time, names the model. Each filter writes the samples again; the grade of the filter `strict`
-- counts, and it grades the first repeat only.
-- reads: samples_*.jsonl results_*.json
-- grain: folder *
-- fields:
--   model text = /model_name
--   filter text = /filter
--   doc_hash text = /doc_hash
--   prompt text = /arguments/gen_args_0/arg_0
--   responses json = /resps/0
--   exact_match number = /exact_match
with named as (
    select
        *,
        regexp_extract(source_path, '(?:samples_(.*)|results)_([^_]+)[.]jsonl?$', ['task', 'time']) as name,
    from raw.item
),

sample as (
    select
        *,
        unnest(from_json(responses, '["VARCHAR"]')) as response,
        generate_subscripts(from_json(responses, '["VARCHAR"]'), 1) as repeat,
    from named
    where filter = 'strict'
)

select
    sample.source_path,
    sample.item_number,
    sample.repeat as record_number,
    list(struct_pack(part.source_path, part.item_number)) as parts,
    'verdict' as source_class,
    concat_ws('/', sample.unit, sample.name.time, sample.doc_hash, sample.repeat) as run_id,
    sample.name.task || '/' || sample.doc_hash as task_id,
    any_value(part.model) as model,
    sample.prompt,
    sample.response,
    case when sample.repeat = 1 then sample.exact_match end as score,
from sample
inner join named as part
    on
        sample.unit = part.unit
        and sample.name.time = part.name.time
        and (part.doc_hash is null or (sample.name.task = part.name.task and sample.doc_hash = part.doc_hash))
group by all
