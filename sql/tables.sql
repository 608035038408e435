-- The tables that are no rows of documents. They hold what was observed (lines, settings, states of rows), and a key for each
-- record. The relations of sql/7_receipts that read raw.document are tables too: a document's rows are kept when it arrives.
-- raw.* belongs to the run: while evidence is collected it holds one source's lines, in a published warehouse it is empty.

create schema if not exists policy;
create schema if not exists evidence;
create schema if not exists receipts;

create table if not exists policy.warehouse_format (
    version integer not null
);
comment on table policy.warehouse_format is
'One row: the version of this file''s layout. A program made for another version refuses the file.';

create table if not exists policy.setting (
    accept_at double not null,
    partial_at double not null,
    grounded_accept_at double not null,
    grounded_partial_at double not null,
    max_pairs_per_task bigint not null,
    include_partial boolean not null,
    include_review boolean not null,
    max_depth bigint not null,
    max_values bigint not null,
    max_line_bytes bigint not null,
    max_unpacked_bytes bigint not null,
    max_unpack_ratio bigint not null,
    follow_links boolean not null,
    drift_threshold double not null,
    drift_min_count bigint not null,
    drift_significance double not null,
    drift_alert_change double not null,
    drift_alert_p double not null,
    drift_vanished_count bigint not null,
    known_paths_sha256 varchar
);
comment on table policy.setting is
'One row: the parameters of the views, as the run that built this warehouse had them. known_paths_sha256 is null where no manifest of known paths was given.';

create table if not exists policy.baseline (
    run_id varchar not null
);
comment on table policy.baseline is
'One row where a run is pinned: later runs are compared with it, and not each with the one before. No row: nothing is pinned.';

create table if not exists policy.known_path (
    path varchar not null
);
comment on table policy.known_path is
'One row per path of the manifest given with --known-paths; a cited path that is not here is hallucinated.';

create table if not exists evidence.file (
    source varchar not null,
    source_path varchar not null,
    bytes bigint,
    sha256 varchar,
    record_count bigint not null,
    blank_count bigint not null,
    whole_bytes bigint,
    whole_lines bigint,
    whole_blank bigint
);
comment on table evidence.file is
'One row per file of the evidence folder: its bytes as they were read, how many entries it holds (lines that are not blank, a cut tail, or the file itself where it is unreadable) and how many blank lines. bytes and sha256 are null where it is unreadable. whole_bytes, whole_lines and whole_blank tell how far its whole lines go, so that a file that grew can be read on from there; null where it cannot.';

create sequence if not exists evidence.record_key;

create table if not exists evidence.record (
    evidence_id varchar not null,
    source varchar not null,
    source_class varchar not null,
    source_path varchar not null,
    line_number bigint not null,
    line_sha256 varchar not null,
    run_id varchar,
    task_id varchar not null,
    created_at timestamp,
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
    record_key bigint not null default nextval('evidence.record_key')
);
comment on table evidence.record is
'One row per valid line of evidence; its key is (source_path, line_number). record_key stands for it within one warehouse: one integer by which the views join; another warehouse of the same evidence may number otherwise. created_at is UTC; score and grounded_fraction run from 0 to 1; latency_ms is milliseconds, cost_usd US dollars.';

create table if not exists evidence.skipped (
    source varchar not null,
    source_path varchar not null,
    line_number bigint not null,
    line_sha256 varchar,
    reason varchar not null,
    detail varchar,
    raw blob
);
comment on table evidence.skipped is
'One row per line (or unreadable file: line 0) that did not become a record, with the reason and the exact bytes without the line feed. raw is null where there are none to keep: an unreadable file, a line over max_line_bytes.';

create table if not exists policy.dependency (
    relation varchar not null,
    reads varchar,
    setting varchar
);
comment on table policy.dependency is
'One row per view or macro and relation that it reads (null: it reads none); where that is policy.setting, one row per setting that it may read. What decides whether a stage is stale.';

create table if not exists receipts.row_history (
    dataset varchar not null,
    evidence_id varchar not null,
    other_evidence_id varchar,
    nth bigint not null,
    source_path varchar,
    line_number bigint,
    category varchar not null,
    reason varchar,
    first_seq bigint not null,
    last_seq bigint
);
comment on table receipts.row_history is
'One row per state that a row of a dataset was in: its category and the first reason why the dataset refuses or skips it (null: it ships), from the published run first_seq to last_seq (null: until now). A row is made from one record, or from the chosen and the rejected one of a pair (other_evidence_id; its category is that of the rejected one, and it has no place). nth counts identical lines; source_path and line_number are where the line was when the state began. A row that stays as it is costs nothing more; states that ended before the last history_runs published runs are dropped.';
