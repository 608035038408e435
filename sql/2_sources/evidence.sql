-- One row per item in the product's own format, which any system can write: its fields are named like the columns of
-- evidence.record. The messages are an array, or a text that holds one.
-- fields:
--   source_class text required = /source_class
--   run_id text = /run_id
--   task_id text required = /task_id
--   created_at text = /created_at
--   model text = /model
--   file text = /file
--   prompt text = /prompt
--   response text = /response
--   messages json = /messages
--   verdict text = /verdict
--   score number = /score
--   grounded_fraction number = /grounded_fraction
--   success_markers texts = /success_markers
--   failure_markers texts = /failure_markers
--   infrastructure_error text = /infrastructure_error
--   human_override text = /human_override
--   cited_paths texts = /cited_paths
--   latency_ms number = /latency_ms
--   cost_usd number = /cost_usd
--   prompt_tokens integer = /prompt_tokens
--   completion_tokens integer = /completion_tokens
with field as (
    select
        * replace (case when sources.is_text(messages) then sources.as_text(messages) else messages end as messages),
        sources.is_text(messages) as holds_text,
    from raw.item
)

select
    source_path,
    item_number,
    source_class,
    run_id,
    task_id,
    created_at,
    model,
    file,
    prompt,
    response,
    messages,
    verdict,
    score,
    grounded_fraction,
    success_markers,
    failure_markers,
    infrastructure_error,
    human_override,
    cited_paths,
    latency_ms,
    cost_usd,
    prompt_tokens,
    completion_tokens,
    case
        when
            not sources.is_array(ltrim(messages))
            or (
                holds_text
                and (
                    not json_valid(messages)
                    -- json_valid accepts NaN, Infinity and trailing commas; none of them may stand outside of strings
                    or regexp_matches(
                        regexp_replace(messages, '"(?:[^"\\]|\\.)*"', '""', 'g'),
                        'N|I|,[[:space:]]*[]}]'
                    )
                )
            )
            then 'bad_messages'
    end as problem,
from field
