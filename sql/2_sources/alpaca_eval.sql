-- One row per annotation of AlpacaEval: how an annotator judged output_2, the answer of generator_2, against the answer of a
-- baseline. Annotations carry no time.
--   source_path: the file of the line, from raw.item
--   item_number: the number of the line, from raw.item
--   source_class: verdict
--   run_id: /generator_2 and /annotator, joined by a slash
--   task_id: sha256 hex of /instruction
--   model: /generator_2
--   prompt: /instruction
--   response: /output_2
--   score: /preference - 1: from 0 (the baseline is better) to 1 (output_2 is better); null where it is not from 0 to 1
--   problem: missing_<field> (absent or blank) or bad_<field> (of another type); null: no fault was found
with field as (
    select
        source_path,
        item_number,
        unnest(json_transform(json, '{
            "instruction": "JSON", "output_2": "JSON", "generator_2": "JSON", "annotator": "JSON", "preference": "JSON"
        }')),
    from raw.item
)

select
    source_path,
    item_number,
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
