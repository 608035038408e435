-- One row per record: what one source says of one attempt, in one shape for all sources. Its key is (source_path, item_number,
-- record_number). Long texts are put together from their pieces; what needs no text reads evidence.stored_record, which is faster.
-- key: record_key.
--   evidence_id: sha256 hex of source, run_id, task_id, item_sha256 (with parts: a sha256 over the hashes of the item and its
--       parts) and record_number where above 1, joined by 0x1F; equal for identical items
--   source: the source, which is the name of its mapping
--   source_class: what kind of evidence the source gives: verdict, telemetry, experiment, extraction, or grade (it grades
--       attempts told of elsewhere)
--   source_path: the file of the item, relative to the evidence folder
--   item_number: the number of the item in its file, from 1; blank lines count
--   record_number: the number of the record among those of its item, from 1
--   item_sha256: sha256 hex of the item's bytes, of a line without the line feed
--   parts: the items that belong to the record, each once, in the order of the evidence; null: none but its own
--   run_id: the agent's run at the task (not a run of etl); null: the item names none
--   task_id: the task that the agent worked on; null: a grade names none
--   created_at: the time that the item gives, UTC; null: it gives none
--   model: the model, as the source spells it; null: not named
--   file: the file of the repository that the record is about; null: none
--   prompt: the task as given to the agent; of a conversation the last user message of its prompt; null: not recorded
--   response: the agent's final answer, or what was extracted from it; of a conversation its last assistant message with a
--       text; null: not recorded
--   prompt_sha256: sha256 of the prompt as it stands, of a conversation over all messages of its prompt; equal where records
--       can be paired; null: not recorded
--   prompt_hash: sha256 of the prompt as prompts are compared, see policy.normalised
--   prompt_length: how many characters the prompt has when normalised; 0: it is blank
--   response_length: how many characters the response has when normalised; 0: it is blank
--   answer_hash: sha256 of the answer as answers are compared: the response, or all messages of the conversation after its
--       prompt
--   answer_length: how many characters the texts of the answer have when normalised
--   is_answer_empty: whether no assistant message of the answer has a visible text or calls a tool
--   has_unparsed_call: whether a call of the answer has arguments that are no JSON object
--   turn_hash: sha256 over prompt and response: equal where both are, as they are compared
--   content_hash: sha256 over the conversation, else over prompt and response: equal where they are, as they are compared
--   tools_sha256: sha256 of tools; null: none
--   messages: the conversation as JSON text in normal form; null: not recorded, or no assistant speaks in it
--   prompt_end: how many characters of messages there are up to the end of the prompt; null: no messages
--   answer_end: how many characters of messages there are up to the end of the last assistant message, where datasets cut it;
--       null: no messages
--   tools: the definitions of the tools as JSON text in normal form; null: none
--   verdict: the source's own word for the result, see policy.verdict; null: none
--   score: a grade from 0 to 1, higher is better; null: none
--   grounded_fraction: the share of the response's statements that were found in the repository, 0 to 1; null: not measured
--   comparison: the scale or contest within which scores and verdicts compare, such as one judgement of two answers; null: they
--       compare within the task
--   success_markers: signs that the attempt went well; null or empty: none
--   failure_markers: signs that the attempt went badly; null or empty: none
--   infrastructure_error: what broke on the machine's side, not the agent's; null: nothing is known
--   human_override: the category that a person set, which outweighs all other signals; null: none
--   cited_paths: paths of the repository that the response names; null or empty: none
--   latency_ms: how long the attempt took, in milliseconds; null: not recorded
--   cost_usd: what the attempt cost, in US dollars; null: not recorded
--   prompt_tokens: how many tokens the model read; null: not recorded
--   completion_tokens: how many tokens the model wrote; null: not recorded
--   text_bytes: how many bytes its prompt, response, messages and tools take
--   record_key: an integer by which the views join records; another warehouse of the same evidence may number otherwise
with long as (
    select
        record_key,
        string_agg(chunk, '' order by chunk_number) filter (where field = 'prompt') as prompt,
        string_agg(chunk, '' order by chunk_number) filter (where field = 'response') as response,
        string_agg(chunk, '' order by chunk_number) filter (where field = 'messages') as messages,
        string_agg(chunk, '' order by chunk_number) filter (where field = 'tools') as tools,
    from evidence.long_text
    group by record_key
)

select
    stored.evidence_id,
    stored.source,
    stored.source_class,
    stored.source_path,
    stored.item_number,
    stored.record_number,
    stored.item_sha256,
    stored.parts,
    stored.run_id,
    stored.task_id,
    stored.created_at,
    stored.model,
    stored.file,
    coalesce(stored.prompt, long.prompt) as prompt,
    coalesce(stored.response, long.response) as response,
    stored.prompt_sha256,
    stored.prompt_hash,
    stored.prompt_length,
    stored.response_length,
    stored.answer_hash,
    stored.answer_length,
    stored.is_answer_empty,
    stored.has_unparsed_call,
    stored.turn_hash,
    stored.content_hash,
    stored.tools_sha256,
    coalesce(stored.messages, long.messages) as messages,
    stored.prompt_end,
    stored.answer_end,
    coalesce(stored.tools, long.tools) as tools,
    stored.verdict,
    stored.score,
    stored.grounded_fraction,
    stored.comparison,
    stored.success_markers,
    stored.failure_markers,
    stored.infrastructure_error,
    stored.human_override,
    stored.cited_paths,
    stored.latency_ms,
    stored.cost_usd,
    stored.prompt_tokens,
    stored.completion_tokens,
    stored.text_bytes,
    stored.record_key,
from evidence.stored_record as stored
left join long on stored.record_key = long.record_key
