-- One row per annotation of AlpacaEval: how an annotator judged output_2, the answer of generator_2, against the answer of a
-- baseline. The score is from 0 (the baseline is better) to 1; a preference that is no number from 1 to 2 is no grade.
-- Annotations carry no time.
-- items: /*
-- fields:
--   instruction text required = /instruction
--   output_2 text required = /output_2
--   generator_2 text required = /generator_2
--   annotator text required = /annotator
--   preference json = /preference
select
    source_path,
    item_number,
    'verdict' as source_class,
    concat_ws('/', generator_2, annotator) as run_id,
    sha256(instruction) as task_id,
    generator_2 as model,
    instruction as prompt,
    output_2 as response,
    case
        when sources.is_number(preference) and sources.as_number(preference) between 1 and 2
            then sources.as_number(preference) - 1
    end as score,
from raw.item
