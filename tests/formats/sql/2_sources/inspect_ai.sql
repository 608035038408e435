-- One row per sample and epoch of an Inspect log (.eval). Its header names the task, the model, and the scorers, of which
-- the first counts. Inspect writes NaN where there is no grade. A sample with an error, or whose grader failed, is the
-- machine's fault.
-- reads: **/header.json **/samples/*.json
-- grain: folder header.json
-- nan: null
-- fields:
--   task text = /eval/task
--   log_run text = /eval/run_id
--   model text = /eval/model
--   scorer text = /eval/scorers/0/name
--   id json = /id
--   epoch integer = /epoch
--   created_at text = /completed_at
--   input json = /input
--   messages json = /messages
--   response text = /output/completion
--   scores json = /scores
--   error text = /error/message
select
    sample.source_path,
    sample.item_number,
    [struct_pack(header.source_path, header.item_number)] as parts,
    'verdict' as source_class,
    concat_ws('/', header.log_run, header.task, sample.id ->> '$', sample.epoch) as run_id,
    header.task || '/' || (sample.id ->> '$') as task_id,
    sample.created_at,
    header.model,
    sample.input ->> case when sources.is_text(sample.input) then '$' else '$[#-1].content' end as prompt,
    sample.response,
    sample.messages,
    case sample.scores ->> ('$."' || header.scorer || '".value')
        when 'C' then 1
        when 'P' then 0.5
        when 'I' then 0
        when 'N' then 0
        else try_cast(sample.scores ->> ('$."' || header.scorer || '".value') as double)
    end as score,
    coalesce(sample.error, sample.scores ->> ('$."' || header.scorer || '".reason')) as infrastructure_error,
from raw.item as sample
inner join raw.item as header on sample.unit = header.unit and header.task is not null
where sample.epoch is not null
