-- One row per annotation of AlpacaEval: output_2 of generator_2 as graded by an annotator against a baseline.
-- preference runs from 1 (the baseline is better) to 2 (output_2 is); anything else counts as no grade. There is no clock.
with field as (
    select
        source_path,
        line_number,
        unnest(json_transform(json, '{
            "instruction": "JSON", "output_2": "JSON", "generator_2": "JSON", "annotator": "JSON", "preference": "JSON"
        }')),
    from raw.line
)

select
    source_path,
    line_number,
    'verdict' as source_class,
    sources.as_text(generator_2) || '/' || sources.as_text(annotator) as run_id,
    sha256(sources.as_text(instruction)) as task_id,
    sources.as_text(generator_2) as model,
    sources.as_text(instruction) as prompt,
    sources.as_text(output_2) as response,
    case
        when sources.is_number(preference) and sources.as_number(preference) between 1 and 2
            then sources.as_number(preference) - 1
    end as score,
    case
        when policy.is_blank(sources.as_text(instruction)) then 'missing_instruction'
        when output_2 is null then 'missing_output_2'
        when policy.is_blank(sources.as_text(generator_2)) then 'missing_generator_2'
        when policy.is_blank(sources.as_text(annotator)) then 'missing_annotator'
        when not sources.is_text(instruction) then 'bad_instruction'
        when not sources.is_text(output_2) then 'bad_output_2'
        when not sources.is_text(generator_2) then 'bad_generator_2'
        when not sources.is_text(annotator) then 'bad_annotator'
    end as problem,
from field
