-- The relations of a run. While it collects, they live in memory and hold one source at a time; a published warehouse has them empty.

create table if not exists raw.line (
    source varchar not null,
    source_path varchar not null,
    line_number bigint not null,
    line_sha256 varchar not null,
    json varchar not null
);
comment on table raw.line is
'One row per valid line of the source that is being mapped: strict JSON, one object. What a mapping in sql/2_sources reads. Empty in a published warehouse.';

create table if not exists raw.document (
    path varchar not null,
    json varchar not null
);
comment on table raw.document is
'One row per receipt or summary that has just arrived: path is run/name.json, json its exact text. What the relations of sql/7_receipts read. Empty in a published warehouse.';

create table if not exists raw.mapped (
    source_path varchar,
    line_number bigint,
    source_class varchar,
    run_id varchar,
    task_id varchar,
    created_at varchar,
    model varchar,
    file varchar,
    prompt varchar,
    response varchar,
    messages varchar,
    verdict varchar,
    score double,
    grounded_fraction double,
    success_markers varchar[],
    failure_markers varchar[],
    human_override varchar,
    cited_paths varchar[],
    latency_ms double,
    cost_usd double,
    prompt_tokens bigint,
    completion_tokens bigint,
    problem varchar,
    source varchar,
    line_sha256 varchar,
    evidence_id varchar
);
comment on table raw.mapped is
'One row per row that the mapping made of raw.line; what it did not name is null. created_at is still text. Empty in a published warehouse.';
