-- One row per line in the product's own format, which any system can write: its fields are named like the columns of
-- evidence.record; source_class and task_id are required.
--   source_path: the file of the line, from raw.item
--   item_number: the number of the line, from raw.item
--   source_class: /source_class
--   run_id: /run_id
--   task_id: /task_id
--   created_at: /created_at
--   model: /model
--   file: /file
--   prompt: /prompt
--   response: /response
--   messages: /messages, an array or a text that holds one; as JSON text
--   verdict: /verdict
--   score: /score
--   grounded_fraction: /grounded_fraction
--   success_markers: /success_markers
--   failure_markers: /failure_markers
--   infrastructure_error: /infrastructure_error
--   human_override: /human_override
--   cited_paths: /cited_paths
--   latency_ms: /latency_ms
--   cost_usd: /cost_usd
--   prompt_tokens: /prompt_tokens
--   completion_tokens: /completion_tokens
--   problem: missing_<field> (absent or blank) or bad_<field> (of another type); null: no fault was found
with field as (
    select
        source_path,
        item_number,
        unnest(json_transform(json, '{
            "source_class": "JSON", "run_id": "JSON", "task_id": "JSON", "created_at": "JSON", "model": "JSON",
            "file": "JSON", "prompt": "JSON", "response": "JSON", "messages": "JSON", "verdict": "JSON",
            "score": "JSON", "grounded_fraction": "JSON", "success_markers": "JSON", "failure_markers": "JSON",
            "infrastructure_error": "JSON", "human_override": "JSON", "cited_paths": "JSON", "latency_ms": "JSON",
            "cost_usd": "JSON", "prompt_tokens": "JSON", "completion_tokens": "JSON"
        }')),
    from raw.item
)

select
    source_path,
    item_number,
    sources.as_text(source_class) as source_class,
    sources.as_text(run_id) as run_id,
    sources.as_text(task_id) as task_id,
    sources.as_text(created_at) as created_at,
    sources.as_text(model) as model,
    sources.as_text(file) as file,
    sources.as_text(prompt) as prompt,
    sources.as_text(response) as response,
    sources.as_text(messages) as messages,
    sources.as_text(verdict) as verdict,
    sources.as_number(score) as score,
    sources.as_number(grounded_fraction) as grounded_fraction,
    sources.as_text_array(success_markers) as success_markers,
    sources.as_text_array(failure_markers) as failure_markers,
    sources.as_text(infrastructure_error) as infrastructure_error,
    sources.as_text(human_override) as human_override,
    sources.as_text_array(cited_paths) as cited_paths,
    sources.as_number(latency_ms) as latency_ms,
    sources.as_number(cost_usd) as cost_usd,
    sources.as_integer(prompt_tokens) as prompt_tokens,
    sources.as_integer(completion_tokens) as completion_tokens,
    case
        when policy.is_blank(sources.as_text(source_class)) then 'missing_source_class'
        when policy.is_blank(sources.as_text(task_id)) then 'missing_task_id'
        when not sources.is_text(source_class) then 'bad_source_class'
        when not sources.is_text(run_id) then 'bad_run_id'
        when not sources.is_text(task_id) then 'bad_task_id'
        when not sources.is_text(created_at) then 'bad_created_at'
        when not sources.is_text(model) then 'bad_model'
        when not sources.is_text(file) then 'bad_file'
        when not sources.is_text(prompt) then 'bad_prompt'
        when not sources.is_text(response) then 'bad_response'
        when
            not sources.is_array(messages)
            and not (
                sources.is_text(messages)
                and json_valid(sources.as_text(messages))
                and sources.is_array(ltrim(sources.as_text(messages)))
                -- json_valid accepts NaN, Infinity and trailing commas; none of them may stand outside of strings
                and not regexp_matches(
                    regexp_replace(sources.as_text(messages), '"(?:[^"\\]|\\.)*"', '""', 'g'),
                    'N|I|,[[:space:]]*[]}]'
                )
            )
            then 'bad_messages'
        when not sources.is_text(verdict) then 'bad_verdict'
        when not sources.is_number(score) then 'bad_score'
        when not sources.is_number(grounded_fraction) then 'bad_grounded_fraction'
        when not sources.is_text_array(success_markers) then 'bad_success_markers'
        when not sources.is_text_array(failure_markers) then 'bad_failure_markers'
        when not sources.is_text(infrastructure_error) then 'bad_infrastructure_error'
        when not sources.is_text(human_override) then 'bad_human_override'
        when not sources.is_text_array(cited_paths) then 'bad_cited_paths'
        when not sources.is_number(latency_ms) then 'bad_latency_ms'
        when not sources.is_number(cost_usd) then 'bad_cost_usd'
        when not sources.is_integer(prompt_tokens) then 'bad_prompt_tokens'
        when not sources.is_integer(completion_tokens) then 'bad_completion_tokens'
    end as problem,
from field
