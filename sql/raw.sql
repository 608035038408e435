-- What a run reads. While it collects, these tables live in memory and hold one source at a time; in a published warehouse they
-- are empty.

create table if not exists raw.item (
    source varchar not null,
    source_path varchar not null,
    item_number bigint not null,
    item_sha256 varchar not null,
    unit varchar,
    pointer varchar,
    json varchar not null
);
comment on table raw.item is
'One row per valid item of the source that is being mapped: a line, an element of a document, a row of Parquet, a text. The mappings in sql/2_sources read it, with a column more for each of their fields. Empty in a published warehouse.';
comment on column raw.item.source is 'the source, which is the name of its mapping';
comment on column raw.item.source_path is 'the file of the item, relative to the evidence folder';
comment on column raw.item.item_number is 'the number of the item in its file, from 1';
comment on column raw.item.item_sha256 is 'sha256 hex of the item''s bytes, of a line without the line feed';
comment on column raw.item.unit is
'what the mapping must see at once, by its grain: a file, a folder or the source; null: it sees items one by one';
comment on column raw.item.pointer is
'where the item stands in its document, as a JSON Pointer; null: it is not from a document';
comment on column raw.item.json is 'the text of the item: one JSON object, read strictly';

create table if not exists raw.document (
    path varchar not null,
    json varchar not null
);
comment on table raw.document is
'One row per receipt or summary that has just arrived. The tables of sql/7_receipts are filled from it. Empty in a published warehouse.';
comment on column raw.document.path is 'the name of the run and the name of the file, joined by a slash';
comment on column raw.document.json is 'the exact text of the file';

create table if not exists raw.mapped (
    source_path varchar,
    item_number bigint,
    record_number bigint,
    parts struct(source_path varchar, item_number bigint)[],
    source_class varchar,
    run_id varchar,
    task_id varchar,
    created_at varchar,
    model varchar,
    file varchar,
    prompt varchar,
    response varchar,
    messages varchar,
    tools varchar,
    verdict varchar,
    score double,
    grounded_fraction double,
    comparison varchar,
    success_markers varchar[],
    failure_markers varchar[],
    infrastructure_error varchar,
    human_override varchar,
    cited_paths varchar[],
    latency_ms double,
    cost_usd double,
    prompt_tokens bigint,
    completion_tokens bigint,
    problem varchar,
    detail varchar,
    source varchar,
    item_sha256 varchar,
    prompt_end bigint,
    answer_end bigint
);
comment on table raw.mapped is
'One row per record, as its mapping gives it, before the checks of evidence.incoming: columns of evidence.record. A column that the mapping does not name is null. Empty in a published warehouse.';
comment on column raw.mapped.source_path is 'the file of the item, relative to the evidence folder';
comment on column raw.mapped.item_number is 'the number of the item in its file, from 1; blank lines count';
comment on column raw.mapped.record_number is
'the number of the record among those of its item, where an item gives several; null: 1';
comment on column raw.mapped.parts is 'the items that belong to the record, each once, in the order of the evidence; null: none but its own';
comment on column raw.mapped.source_class is
'what kind of evidence the source gives: verdict, telemetry, experiment, extraction or grade';
comment on column raw.mapped.run_id is 'the agent''s run at the task (not a run of etl); null: the item names none';
comment on column raw.mapped.task_id is 'the task that the agent worked on';
comment on column raw.mapped.created_at is
'the time as the source writes it: ISO 8601 text, which evidence.incoming reads; null: none';
comment on column raw.mapped.model is 'the model, as the source spells it; null: not named';
comment on column raw.mapped.file is 'the file of the repository that the record is about; null: none';
comment on column raw.mapped.prompt is 'the task as given to the agent; null: not recorded';
comment on column raw.mapped.response is 'the agent''s final answer, or what was extracted from it; null: not recorded';
comment on column raw.mapped.messages is
'the conversation as JSON text: once the mapping has given it, it is brought into normal form; null: not recorded';
comment on column raw.mapped.tools is 'the definitions of the tools as JSON text, in normal form likewise; null: none';
comment on column raw.mapped.verdict is 'the source''s own word for the result, see policy.verdict; null: none';
comment on column raw.mapped.score is 'a grade from 0 to 1, higher is better; null: none';
comment on column raw.mapped.grounded_fraction is
'the share of the response''s statements that were found in the repository, 0 to 1; null: not measured';
comment on column raw.mapped.comparison is
'the scale or contest within which scores and verdicts compare; null: they compare within the task';
comment on column raw.mapped.success_markers is 'signs that the attempt went well; null or empty: none';
comment on column raw.mapped.failure_markers is 'signs that the attempt went badly; null or empty: none';
comment on column raw.mapped.infrastructure_error is
'what broke on the machine''s side, not the agent''s; null: nothing is known';
comment on column raw.mapped.human_override is 'the category that a person set, which outweighs all other signals; null: none';
comment on column raw.mapped.cited_paths is 'paths of the repository that the response names; null or empty: none';
comment on column raw.mapped.latency_ms is 'how long the attempt took, in milliseconds; null: not recorded';
comment on column raw.mapped.cost_usd is 'what the attempt cost, in US dollars; null: not recorded';
comment on column raw.mapped.prompt_tokens is 'how many tokens the model read; null: not recorded';
comment on column raw.mapped.completion_tokens is 'how many tokens the model wrote; null: not recorded';
comment on column raw.mapped.problem is 'the reason for which the item is skipped: the mapping''s, or that of a field which is missing or of another type; null: none';
comment on column raw.mapped.detail is 'more about the problem, without the text of the item; null: nothing more is known';
comment on column raw.mapped.source is 'the source of the item, whatever the mapping says';
comment on column raw.mapped.item_sha256 is
'sha256 hex of the item''s bytes, whatever the mapping says; null: the row names no item, which is an error';
comment on column raw.mapped.prompt_end is
'how many characters messages has up to the end of the prompt, whatever the mapping says; null: no assistant speaks in it';
comment on column raw.mapped.answer_end is
'how many characters messages has up to the end of the last assistant message; null: no assistant speaks in it';
