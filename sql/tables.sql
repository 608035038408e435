-- The tables that a run fills itself: what it observed (lines, files, settings, states of rows). The files of sql/7_receipts
-- that read raw.document make tables too: their rows are kept when a document arrives.

create schema if not exists policy;
create schema if not exists evidence;
create schema if not exists datasets;
create schema if not exists receipts;

create table if not exists policy.warehouse_format (
    version integer not null
);
comment on table policy.warehouse_format is
'One row: the version of this file''s layout.';
comment on column policy.warehouse_format.version is 'a program that reads another version refuses the file';

create table if not exists policy.setting (
    accept_at double not null,
    partial_at double not null,
    grounded_accept_at double not null,
    grounded_partial_at double not null,
    max_pairs_per_task bigint not null,
    max_prompts_per_response bigint not null,
    include_partial boolean not null,
    include_review boolean not null,
    max_depth bigint not null,
    max_values bigint not null,
    max_line_bytes bigint not null,
    max_unpacked_bytes bigint not null,
    max_unpack_ratio bigint not null,
    follow_links boolean not null,
    part_items bigint not null,
    one_file boolean not null,
    drift_threshold double not null,
    drift_min_count bigint not null,
    drift_significance double not null,
    drift_alert_change double not null,
    drift_alert_p double not null,
    drift_vanished_count bigint not null,
    known_paths_sha256 varchar,
    validation_share double not null,
    test_share double not null,
    holdout_sha256 varchar
);
comment on table policy.setting is
'One row: the settings that the views read, as the run that built this warehouse had them.';
comment on column policy.setting.accept_at is 'scores at or above this are accepted';
comment on column policy.setting.partial_at is 'scores at or above this, and below accept_at, are partially accepted';
comment on column policy.setting.grounded_accept_at is 'grounded fractions at or above this are accepted';
comment on column policy.setting.grounded_partial_at is
'grounded fractions at or above this, and below grounded_accept_at, are partially accepted';
comment on column policy.setting.max_pairs_per_task is
'how many pairs a task may export, and how many records of each side are paired';
comment on column policy.setting.max_prompts_per_response is
'how many different prompts one long response may answer before all records that have it are refused';
comment on column policy.setting.include_partial is 'whether partially accepted records enter sft';
comment on column policy.setting.include_review is 'whether records that need human review enter rag';
comment on column policy.setting.max_depth is 'how many brackets of a JSON text may be open at once';
comment on column policy.setting.max_values is 'how many commas and opening brackets an item may have outside its strings';
comment on column policy.setting.max_line_bytes is 'the longest item that is read, in bytes';
comment on column policy.setting.max_unpacked_bytes is 'how many bytes one compressed file may unpack to';
comment on column policy.setting.max_unpack_ratio is
'how many times its own size a compressed file may unpack to, once that is over 16 MiB';
comment on column policy.setting.follow_links is 'whether links that lead out of the evidence folder are followed';
comment on column policy.setting.part_items is
'the largest size of a part of a dataset, see evidence.part; where there are as many records, a part has at least a fifth of it';
comment on column policy.setting.one_file is 'whether each dataset is one file, and not a folder of parts';
comment on column policy.setting.drift_threshold is 'the relative change above which drift warns, unless chance explains it';
comment on column policy.setting.drift_min_count is 'drift judges a change only if one of its two counts is at least this';
comment on column policy.setting.drift_significance is
'the chance, over all comparisons of a run, that drift warns although nothing changed';
comment on column policy.setting.drift_alert_change is
'the relative change from which on drift alerts, if it is also less likely than drift_alert_p';
comment on column policy.setting.drift_alert_p is 'drift alerts only if a change is less likely by chance than this';
comment on column policy.setting.drift_vanished_count is 'drift alerts when a class of at least this many records vanishes';
comment on column policy.setting.known_paths_sha256 is
'the hash of the manifest given with --known-paths; null: none was given, cited paths are not checked';
comment on column policy.setting.validation_share is 'which share of the groups of tasks is the validation split';
comment on column policy.setting.test_share is 'which share of the groups of tasks is the test split';
comment on column policy.setting.holdout_sha256 is
'the hash of the file given with --holdout; null: none was given, no task is reserved';

create table if not exists policy.source_setting (
    source varchar not null,
    name varchar not null,
    value varchar not null
);
comment on table policy.source_setting is
'One row per setting that etl.toml gives to a source, below [sources.NAME]. While a source is collected, its mapping sees the rows of that source alone.';
comment on column policy.source_setting.source is 'the source whose mapping reads it';
comment on column policy.source_setting.name is 'the key in etl.toml';
comment on column policy.source_setting.value is
'the value as text: a boolean is true or false, a number stands in its shortest form';

create table if not exists policy.baseline (
    run_id varchar not null
);
comment on table policy.baseline is
'One row where a run is pinned: later runs are compared with it. No row: each run is compared with the one before.';
comment on column policy.baseline.run_id is 'the pinned run';

create table if not exists policy.known_path (
    path varchar not null
);
comment on table policy.known_path is
'One row per path of the manifest given with --known-paths. A cited path that is not listed here counts as hallucinated.';
comment on column policy.known_path.path is 'a path of the repository';

create table if not exists policy.holdout (
    line bigint not null,
    task_id varchar,
    prompt varchar
);
comment on table policy.holdout is
'One row per task of the file given with --holdout. A task that is named here, or shares a prompt with one, ships in no dataset.';
comment on column policy.holdout.line is 'the line of the file that names it, from 1';
comment on column policy.holdout.task_id is 'the task; null: the line gives a prompt alone';
comment on column policy.holdout.prompt is 'a prompt of the task; null: the line gives a task alone';

create table if not exists evidence.file (
    source varchar not null,
    source_path varchar not null,
    bytes bigint,
    sha256 varchar,
    unit varchar,
    record_count bigint not null,
    blank_count bigint not null,
    nan_count bigint not null default 0,
    ignored_members struct(ignored_by varchar, members bigint)[],
    whole_bytes bigint,
    whole_lines bigint,
    whole_blank bigint,
    whole_nan bigint,
    ignored_by varchar
);
comment on table evidence.file is
'One row per file of the evidence folder. Those of whole lines say how far they go, so that the next run can continue there if the file grows.';
comment on column evidence.file.source is 'the source: the first part of the path, without endings';
comment on column evidence.file.source_path is 'the file, relative to the evidence folder';
comment on column evidence.file.bytes is 'its size when it was read; null: it could not be read, or is ignored (but for .etlignore)';
comment on column evidence.file.sha256 is 'sha256 hex of its bytes; null: it could not be read, or is ignored (but for .etlignore)';
comment on column evidence.file.unit is
'what is mapped at once with it, by the grain of its mapping; null: its items are mapped one by one';
comment on column evidence.file.record_count is
'how many entries it holds: lines that are not blank, a cut tail, or 1 where the file is an entry as a whole';
comment on column evidence.file.blank_count is 'how many blank lines it holds';
comment on column evidence.file.nan_count is
'how many times NaN or Infinity was read as null, as nan: null of its mapping asks';
comment on column evidence.file.ignored_members is
'how many members of an archive are ignored by each rule, see ignored_by; null or empty: none';
comment on column evidence.file.whole_bytes is
'bytes up to the end of its last whole line; null: it cannot be continued (compressed, or unreadable)';
comment on column evidence.file.whole_lines is 'lines up to there, blank ones too; null where whole_bytes is';
comment on column evidence.file.whole_blank is 'blank lines up to there; null where whole_bytes is';
comment on column evidence.file.whole_nan is 'the part of nan_count up to there; null where whole_bytes is';
comment on column evidence.file.ignored_by is
'the rule by which it is none of the evidence: hidden, README*, LICENSE*, *.md or .etlignore; null: it is';

-- A record without its long texts, so that a scan of many rows never holds many of them. Texts are not compressed: that takes longer
-- than all else of the insert. Nor are hashes, which do not get smaller.
create table if not exists evidence.stored_record ( -- noqa: PRS
    evidence_id varchar not null,
    source varchar not null,
    source_class varchar not null,
    source_path varchar not null,
    item_number bigint not null,
    record_number bigint not null,
    item_sha256 varchar not null,
    parts struct(source_path varchar, item_number bigint)[],
    run_id varchar,
    task_id varchar,
    created_at timestamp,
    model varchar,
    file varchar,
    prompt varchar using compression uncompressed,
    response varchar using compression uncompressed,
    prompt_sha256 blob using compression uncompressed,
    prompt_hash blob using compression uncompressed not null,
    prompt_length bigint not null,
    response_length bigint not null,
    answer_hash blob using compression uncompressed not null,
    answer_length bigint not null,
    is_answer_empty boolean not null,
    has_unparsed_call boolean not null,
    turn_hash blob using compression uncompressed not null,
    content_hash blob using compression uncompressed not null,
    tools_sha256 blob using compression uncompressed,
    messages varchar using compression uncompressed,
    prompt_end bigint,
    answer_end bigint,
    tools varchar using compression uncompressed,
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
    text_bytes bigint not null,
    record_key bigint not null
);
comment on table evidence.stored_record is
'One row per record, with the columns of evidence.record. A text of its prompt, response, messages or tools that is longer than 32 KiB is null here, and lies in evidence.long_text.';
comment on column evidence.stored_record.evidence_id is 'as in evidence.record';
comment on column evidence.stored_record.source is 'as in evidence.record';
comment on column evidence.stored_record.source_class is 'as in evidence.record';
comment on column evidence.stored_record.source_path is 'as in evidence.record';
comment on column evidence.stored_record.item_number is 'as in evidence.record';
comment on column evidence.stored_record.record_number is 'as in evidence.record';
comment on column evidence.stored_record.item_sha256 is 'as in evidence.record';
comment on column evidence.stored_record.parts is 'as in evidence.record';
comment on column evidence.stored_record.run_id is 'as in evidence.record';
comment on column evidence.stored_record.task_id is 'as in evidence.record';
comment on column evidence.stored_record.created_at is 'as in evidence.record';
comment on column evidence.stored_record.model is 'as in evidence.record';
comment on column evidence.stored_record.file is 'as in evidence.record';
comment on column evidence.stored_record.prompt is 'as in evidence.record; null where it is long';
comment on column evidence.stored_record.response is 'as in evidence.record; null where it is long';
comment on column evidence.stored_record.prompt_sha256 is 'as in evidence.record';
comment on column evidence.stored_record.prompt_hash is 'as in evidence.record';
comment on column evidence.stored_record.prompt_length is 'as in evidence.record';
comment on column evidence.stored_record.response_length is 'as in evidence.record';
comment on column evidence.stored_record.answer_hash is 'as in evidence.record';
comment on column evidence.stored_record.answer_length is 'as in evidence.record';
comment on column evidence.stored_record.is_answer_empty is 'as in evidence.record';
comment on column evidence.stored_record.has_unparsed_call is 'as in evidence.record';
comment on column evidence.stored_record.turn_hash is 'as in evidence.record';
comment on column evidence.stored_record.content_hash is 'as in evidence.record';
comment on column evidence.stored_record.tools_sha256 is 'as in evidence.record';
comment on column evidence.stored_record.messages is 'as in evidence.record; null where they are long';
comment on column evidence.stored_record.prompt_end is 'as in evidence.record';
comment on column evidence.stored_record.answer_end is 'as in evidence.record';
comment on column evidence.stored_record.tools is 'as in evidence.record; null where they are long';
comment on column evidence.stored_record.verdict is 'as in evidence.record';
comment on column evidence.stored_record.score is 'as in evidence.record';
comment on column evidence.stored_record.grounded_fraction is 'as in evidence.record';
comment on column evidence.stored_record.comparison is 'as in evidence.record';
comment on column evidence.stored_record.success_markers is 'as in evidence.record';
comment on column evidence.stored_record.failure_markers is 'as in evidence.record';
comment on column evidence.stored_record.infrastructure_error is 'as in evidence.record';
comment on column evidence.stored_record.human_override is 'as in evidence.record';
comment on column evidence.stored_record.cited_paths is 'as in evidence.record';
comment on column evidence.stored_record.latency_ms is 'as in evidence.record';
comment on column evidence.stored_record.cost_usd is 'as in evidence.record';
comment on column evidence.stored_record.prompt_tokens is 'as in evidence.record';
comment on column evidence.stored_record.completion_tokens is 'as in evidence.record';
comment on column evidence.stored_record.text_bytes is 'as in evidence.record';
comment on column evidence.stored_record.record_key is 'as in evidence.record';

create table if not exists evidence.long_text ( -- noqa: PRS
    record_key bigint not null,
    field varchar not null,
    chunk_number bigint not null,
    chunk varchar using compression uncompressed not null
);
comment on table evidence.long_text is
'One row per piece of a long text of a record. Its pieces one after the other are the text.';
comment on column evidence.long_text.record_key is 'the record, see evidence.record';
comment on column evidence.long_text.field is 'which text of it: prompt, response, messages or tools';
comment on column evidence.long_text.chunk_number is 'the number of the piece in its text, from 1';
comment on column evidence.long_text.chunk is 'the piece: at most 32 KiB, whole characters';

create table if not exists evidence.skipped (
    source varchar not null,
    source_path varchar not null,
    item_number bigint not null,
    item_sha256 varchar,
    reason varchar not null,
    detail varchar,
    raw blob
);
comment on table evidence.skipped is
'One row per item, or file as a whole, that neither became a record nor is part of one.';
comment on column evidence.skipped.source is 'the source of the item';
comment on column evidence.skipped.source_path is 'the file of the item, relative to the evidence folder';
comment on column evidence.skipped.item_number is 'the number of the item in its file, from 1; 0: the file as a whole';
comment on column evidence.skipped.item_sha256 is
'sha256 hex of the item''s bytes, of a line without the line feed; null: of a file as a whole';
comment on column evidence.skipped.reason is
'why: what strict reading refused, such as malformed_json; missing_<column> or bad_<column>; of a whole file unknown_format, unknown_source or unreadable_file';
comment on column evidence.skipped.detail is 'more about it, without the text of the item; null: nothing more is known';
comment on column evidence.skipped.raw is
'the exact bytes, of a line without the line feed; null: of a file as a whole, or the item is over max_line_bytes';

create table if not exists policy.dependency (
    relation varchar not null,
    reads varchar,
    setting varchar
);
comment on table policy.dependency is
'One row per view or macro and relation that it reads. It decides which stages are stale after a change.';
comment on column policy.dependency.relation is 'the view or macro; or a table that collect fills';
comment on column policy.dependency.reads is 'the relation or macro that it reads; null: it reads none';
comment on column policy.dependency.setting is
'where it reads policy.setting, a setting that it may read: one row for each; else null';

create table if not exists datasets.written_part (
    dataset varchar not null,
    stem varchar not null,
    digest varchar not null
);
comment on table datasets.written_part is
'One row per part of a dataset or of its quarantine that has rows, as it was written. The next run writes only parts with another digest.';
comment on column datasets.written_part.dataset is 'the dataset, see policy.dataset';
comment on column datasets.written_part.stem is 'the path of its two files below exports/, without their endings';
comment on column datasets.written_part.digest is
'sha256 hex over the keys of its records in this warehouse and what was decided of them';

create table if not exists receipts.row_history (
    dataset varchar not null,
    evidence_id varchar not null,
    other_evidence_id varchar,
    nth bigint not null,
    source_path varchar,
    item_number bigint,
    record_number bigint,
    other_source_path varchar,
    other_item_number bigint,
    other_record_number bigint,
    category varchar not null,
    reason varchar,
    first_seq bigint not null,
    last_seq bigint
);
comment on table receipts.row_history is
'One row per state that a row of a dataset was in: its place, its category and whether it ships, from one published run to another. A row that does not change needs no new row here. States that ended before the last history_runs published runs are dropped.';
comment on column receipts.row_history.dataset is 'the dataset';
comment on column receipts.row_history.evidence_id is 'the record that the row is made from; of a pair, the chosen one';
comment on column receipts.row_history.other_evidence_id is
'the rejected record of a pair; null: the row is made from one record';
comment on column receipts.row_history.nth is '1, 2, … for the records of identical items; 1 for a pair';
comment on column receipts.row_history.source_path is 'the file of the item; of a pair, that of the chosen record';
comment on column receipts.row_history.item_number is 'the number of the item; of a pair, that of the chosen record';
comment on column receipts.row_history.record_number is
'the number of the record among those of its item; of a pair, that of the chosen record';
comment on column receipts.row_history.other_source_path is 'of a pair, the file of the rejected record; else null';
comment on column receipts.row_history.other_item_number is 'of a pair, the number of the item of the rejected record; else null';
comment on column receipts.row_history.other_record_number is
'of a pair, the number of the rejected record among those of its item; else null';
comment on column receipts.row_history.category is 'the category of the record; of a pair, that of the rejected one';
comment on column receipts.row_history.reason is 'the first reason why the dataset refuses or skips the row; null: it ships';
comment on column receipts.row_history.first_seq is 'the first published run (seq of receipts.run) that saw the state';
comment on column receipts.row_history.last_seq is 'the last published run that saw it; null: it lasts';

create table if not exists receipts.task_split (
    task_id varchar not null,
    split varchar not null
);
comment on table receipts.task_split is
'One row per task, as of the last version that was published: while a run builds, of the one before. So a run can tell how many rows change sides.';
comment on column receipts.task_split.task_id is 'the task';
comment on column receipts.task_split.split is 'the side of the split on which it is, see scored.task_group';
