-- One row per record of the source that is being collected, as its mapping gives it: the columns of evidence.record, and problem.
-- It makes the checks that hold for every source, whatever its mapping does. Empty in a published warehouse.
--   evidence_id: sha256 hex of source, run_id, task_id, item_sha256 and record_number where above 1, joined by 0x1F; equal for
--       identical items. With parts, a sha256 over the hash of the item and those of its other parts stands for item_sha256
--   source: the source, which is the name of its mapping
--   source_class: verdict, telemetry, experiment, extraction or grade; another class is the problem bad_source_class
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1
--   record_number: the number of the record among those of its item, from 1
--   item_sha256: sha256 hex of the item's bytes, of a line without the line feed
--   parts: the items that belong to the record, each once, in the order of the evidence; null: none but its own
--   run_id: the agent's run at the task; null: the item names none
--   task_id: the task that the agent worked on; blank is the problem missing_task_id, but for a grade that names a run
--   created_at: the time that the item gives, UTC (without an offset it counts as UTC); null: none, or problem bad_created_at
--   model: the model, as the source spells it; null: not named
--   file: the file of the repository that the record is about; null: none
--   prompt: the task as given to the agent; null in the mapping: the last user message of the conversation's prompt, or null
--   response: the agent's final answer, or what was extracted from it; null in the mapping: the last assistant message of the
--       answer that has a visible text, or null
--   prompt_sha256: sha256 of the prompt as it stands, of a conversation over all messages of its prompt; null: not recorded
--   prompt_hash: sha256 of the prompt as prompts are compared, see policy.normalised
--   prompt_length: how many characters the prompt has when normalised; 0: it is blank
--   response_length: how many characters the response has when normalised; 0: it is blank
--   answer_hash: sha256 of the answer as answers are compared: the response, or what follows the prompt of the conversation
--   answer_length: how many characters the texts of the answer have when normalised
--   is_answer_empty: whether no assistant message of the answer has a visible text or calls a tool
--   has_unparsed_call: whether a call of the answer has arguments that are no JSON object
--   turn_hash: sha256 over prompt and response: equal where both are, as they are compared
--   content_hash: sha256 over the conversation, else over prompt and response: equal where they are, as they are compared
--   tools_sha256: sha256 of tools; null: none
--   messages: the conversation as JSON text in normal form; null: not recorded, or no assistant speaks in it
--   prompt_end: how many characters of messages there are up to the end of the prompt; null: no messages
--   answer_end: how many characters of messages there are up to the end of the last assistant message; null: no messages
--   tools: the definitions of the tools as JSON text in normal form; null: none
--   verdict: the source's own word for the result; null: none
--   score: a grade from 0 to 1, higher is better; null: none; infinity and NaN are the problem bad_score
--   grounded_fraction: the share of the response's statements that were found in the repository, 0 to 1; null: not measured
--   comparison: the scale or contest within which scores and verdicts compare; null: they compare within the task
--   success_markers: signs that the attempt went well; null or empty: none
--   failure_markers: signs that the attempt went badly; null or empty: none
--   infrastructure_error: what broke on the machine's side, not the agent's; null: nothing is known
--   human_override: the category that a person set; null: none; another word is the problem bad_human_override
--   cited_paths: paths of the repository that the response names; null or empty: none
--   latency_ms: how long the attempt took, in milliseconds; null: not recorded
--   cost_usd: what the attempt cost, in US dollars; null: not recorded
--   prompt_tokens: how many tokens the model read; null: not recorded
--   completion_tokens: how many tokens the model wrote; null: not recorded
--   text_bytes: how many bytes its prompt, response, messages and tools take
--   problem: the reason for which the item is skipped: its mapping's, that of a field, or of a check here; null: it is good
--   detail: more about the problem, without the text of the item; null: nothing more is known
with part as ( -- the other items of a record, each once; a mapping that gives no parts pays nothing for this
    select distinct
        mapped.source_path,
        mapped.item_number,
        mapped.record_number,
        unnest(mapped.parts) as place,
    from raw.mapped as mapped
    where mapped.parts is not null
),

of_parts as materialized ( -- few rows: so a join reads these into memory, and not the texts of all records
    select
        part.source_path,
        part.item_number,
        part.record_number,
        list(other.item_sha256 order by part.place) as digests,
    from part
    inner join raw.item as other
        on part.place.source_path = other.source_path and part.place.item_number = other.item_number
    where part.source_path <> other.source_path or part.item_number <> other.item_number
    group by part.source_path, part.item_number, part.record_number
),

timed as (
    select
        case
            when mapped.parts is null then mapped.item_sha256
            else sha256(policy.joined(list_prepend(mapped.item_sha256, coalesce(of_parts.digests, [])), chr(31)))
        end as content_sha256,
        mapped.* exclude (record_number),
        coalesce(mapped.record_number, 1) as record_number,
        regexp_extract(
            upper(mapped.created_at),
            '^([0-9]{4}-[0-9]{2}-[0-9]{2})'
            || '(?:[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(?:(:[0-5][0-9])(?:([.][0-9]{1,6})[0-9]*)?)?'
            || ' ?(Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?)?$',
            ['day', 'minute', 'second', 'fraction', 'zone']
        ) as clock,
    from raw.mapped as mapped
    left join of_parts
        on
            mapped.parts is not null
            and mapped.source_path = of_parts.source_path
            and mapped.item_number = of_parts.item_number
            and mapped.record_number is not distinct from of_parts.record_number
),

heard as (
    select
        *,
        policy.said(messages, prompt_end, answer_end) as said,
    from timed
),

normalised as (
    select
        *,
        policy.normal_said(said) as normal,
    from heard
),

turned as (
    select
        * replace (
            coalesce(prompt, policy.prompt_of(said)) as prompt,
            coalesce(response, policy.response_of(said)) as response,
            case when answer_end is not null then messages end as messages,
            -- a grade may name only a run, or only a task
            case when source_class is distinct from 'grade' or not policy.is_blank(task_id) then task_id end as task_id,
            case when source_class is distinct from 'grade' or not policy.is_blank(run_id) then run_id end as run_id
        ),
        -- the texts of messages are normalised already
        case when prompt is null then policy.normal_prompt_of(said, normal) end as heard_prompt,
        case when response is null then policy.normal_response_of(said, normal) end as heard_response,
    from normalised
),

-- DuckDB drops an offset when it casts text to timestamp, and assumes the session's zone where the text has none. So the text
-- is completed first (midnight if it has no time, UTC if it has no offset), then cast with its offset, and converted to UTC.
clocked as (
    select
        turned.*,
        make_timestamp(epoch_us(try_cast(
            concat(
                clock.day,
                'T',
                coalesce(nullif(clock.minute, ''), '00:00'),
                coalesce(nullif(clock.second, ''), ':00'),
                clock.fraction,
                coalesce(nullif(clock.zone, ''), 'Z')
            ) as timestamptz
        ))) as created_at_utc,
        coalesce(heard_prompt, policy.normalised(prompt)) as normal_prompt,
        coalesce(heard_response, policy.normalised(response)) as normal_response,
    from turned
),

hashed as (
    select
        *,
        policy.turn(normal_prompt, normal_response) as turn,
        policy.conversed(said, normal) as conversed,
    from clocked
)

select
    sha256(concat(
        source, chr(31), coalesce(run_id, ''), chr(31), coalesce(task_id, ''), chr(31), content_sha256,
        case when record_number > 1 then chr(31) || record_number else '' end
    )) as evidence_id,
    source,
    source_class,
    source_path,
    item_number,
    record_number,
    item_sha256,
    list_sort(list_distinct(parts)) as parts,
    run_id,
    task_id,
    created_at_utc as created_at,
    model,
    file,
    prompt,
    response,
    unnest(policy.content(prompt, turn, conversed, tools)),
    messages,
    prompt_end,
    answer_end,
    tools,
    verdict,
    score,
    grounded_fraction,
    comparison,
    success_markers,
    failure_markers,
    infrastructure_error,
    human_override,
    cited_paths,
    latency_ms,
    cost_usd,
    prompt_tokens,
    completion_tokens,
    policy.text_bytes(prompt, response, messages, tools) as text_bytes,
    case
        when problem is not null then problem
        when policy.is_blank(task_id) and (source_class is distinct from 'grade' or run_id is null) then 'missing_task_id'
        when source_class is null then 'missing_source_class'
        when source_class not in ('verdict', 'telemetry', 'experiment', 'extraction', 'grade') then 'bad_source_class'
        when
            human_override not in ('accepted', 'partially_accepted', 'rejected', 'needs_human_review')
            then 'bad_human_override'
        when
            created_at is not null
            and coalesce(
                created_at_utc not between timestamp '0001-01-01' and timestamp '9999-12-31 23:59:59.999999', true
            )
            then 'bad_created_at'
        when
            source_class = 'grade'
            and score is null
            and grounded_fraction is null
            and human_override is null
            and policy.is_blank(verdict)
            and policy.is_blank(infrastructure_error)
            and len(list_concat(success_markers, failure_markers)) = 0
            then 'missing_verdict'
        when not isfinite(score) then 'bad_score'
        when not isfinite(grounded_fraction) then 'bad_grounded_fraction'
        when not isfinite(latency_ms) then 'bad_latency_ms'
        when not isfinite(cost_usd) then 'bad_cost_usd'
    end as problem,
    case when problem is not null then policy.short(detail, 200) end as detail,
from hashed
