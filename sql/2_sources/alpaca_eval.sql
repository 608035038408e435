-- Two rows per annotation of AlpacaEval, one for each of the two outputs that an annotator compared: the preference goes from 1
-- (output_1 is better) to 2. The score of each is from 0 to 1; a preference that is no number from 1 to 2 is no grade. Scores compare
-- within the annotation alone. Without output_1 there is one row. Annotations carry no time.
-- items: /*
-- fields:
--   instruction text required = /instruction
--   output_1 text = /output_1
--   generator_1 text = /generator_1
--   output_2 text required = /output_2
--   generator_2 text required = /generator_2
--   annotator text required = /annotator
--   preference json = /preference
with graded as (
    select
        *,
        case
            when sources.is_number(preference) and sources.as_number(preference) between 1 and 2
                then sources.as_number(preference)
        end as grade,
    from raw.item
),

output as (
    select
        graded.*,
        unnest([
            struct_pack(record_number := 1, text := output_1, generator := generator_1, score := 2 - grade),
            struct_pack(record_number := 2, text := output_2, generator := generator_2, score := grade - 1)
        ]) as output,
    from graded
)

select
    source_path,
    item_number,
    output.record_number,
    'verdict' as source_class,
    output.generator || '/' || annotator as run_id,
    sha256(instruction) as task_id,
    output.generator as model,
    instruction as prompt,
    output.text as response,
    output.score,
    item_sha256 as comparison,
from output
where output.record_number = 2 or output_1 is not null
