-- The baseline: one bare DuckDB script that writes the same rows from the evidence shape, without what the product adds:
-- strict reading, reasons for skipped lines, validation, audit, receipts. $EVIDENCE and $OUT are folders.
set timezone = 'UTC';

create table record as
with line as (
    select
        parse_filename(filename) as source_path,
        row_number() over () as item_number,
        json::varchar as json,
    from read_ndjson_objects('$EVIDENCE/evidence.jsonl', ignore_errors = true, filename = true)
),

-- Truncated lines and bad UTF-8 are null by now; lines with NaN or with a repeated key are not.
good as (
    select *
    from line
    where not contains(json, 'NaN') and not starts_with(json, '{"source_class": "verdict", "source_class"')
),

parsed as (
    select
        source_path,
        item_number,
        sha256(json) as item_sha256,
        unnest(json_transform(json, '{
            "run_id": "VARCHAR", "task_id": "VARCHAR", "created_at": "TIMESTAMPTZ", "model": "VARCHAR", "prompt": "VARCHAR",
            "response": "VARCHAR", "verdict": "VARCHAR"
        }')),
    from good
)

select
    *,
    struct_pack(
        source_path := source_path, item_number := item_number, record_number := 1::bigint, item_sha256 := item_sha256
    ) as provenance,
    case verdict
        when 'accept' then 'accepted'
        when 'partial' then 'partially_accepted'
        when 'reject' then 'rejected'
        else 'needs_human_review'
    end as category,
from parsed
where task_id is not null;

create view rag as
select
    item_sha256 as id,
    run_id as source_run_id,
    task_id,
    'evidence' as source,
    category as source_category,
    nullif(
        case
            when length(first_line) <= 120 then first_line
            when regexp_matches(left(first_line, 121), '\s') then trim(regexp_replace(left(first_line, 121), '\s\S*$', ''))
            else left(first_line, 120)
        end,
        ''
    ) as title,
    response as content,
    model,
    created_at,
    provenance,
from (select *, regexp_extract(trim(prompt), '^[^\n\r]*') as first_line from record)
where category in ('accepted', 'partially_accepted')
order by id;

create view sft as
select
    item_sha256 as id,
    run_id as source_run_id,
    task_id,
    'evidence' as source,
    category as quality_score,
    prompt as instruction,
    response,
    model,
    created_at,
    provenance,
from record
where category = 'accepted'
order by id;

create view refused as
select
    item_sha256 as id,
    run_id as source_run_id,
    task_id,
    category,
    case category when 'needs_human_review' then 'category_disallowed' else 'unsafe_rag_category' end as rag_reason,
    case category when 'partially_accepted' then 'category_disallowed' else 'unsafe_sft_category' end as sft_reason,
    provenance,
from record
where category <> 'accepted'
order by id;

create view quarantine_rag as
select
    id,
    source_run_id,
    task_id,
    category,
    rag_reason as quarantine_reason,
    [rag_reason] as quarantine_reasons,
    category as detail,
    provenance,
from refused
where category <> 'partially_accepted'
order by id;

create view quarantine_sft as
select
    id,
    source_run_id,
    task_id,
    category,
    sft_reason as quarantine_reason,
    [sft_reason] as quarantine_reasons,
    category as detail,
    provenance,
from refused
order by id;

create view preference as
with side as (
    select
        *,
        row_number() over (partition by task_id, prompt, category order by created_at, item_sha256) as place,
        bool_or(category = 'rejected') over (partition by task_id, prompt) as has_rejected,
    from record
    where category <> 'needs_human_review'
),

-- Pairs are ranked without their texts, which are joined to the pairs that stay.
pair as (
    select
        chosen.item_number as chosen_line,
        rejected.item_number as rejected_line,
    from side as chosen
    inner join side as rejected on chosen.task_id = rejected.task_id and chosen.prompt is not distinct from rejected.prompt
    where
        chosen.category = 'accepted'
        and (rejected.category = 'rejected' or (rejected.category = 'partially_accepted' and not rejected.has_rejected))
        and chosen.place <= 5
        and rejected.place <= 5
        and chosen.run_id <> rejected.run_id
        and chosen.response <> rejected.response
    qualify
        row_number() over (
            partition by chosen.task_id
            order by greatest(chosen.place, rejected.place), chosen.place + rejected.place, chosen.place
        ) <= 5
)

select
    chosen.item_sha256 || rejected.item_sha256 as id,
    chosen.task_id,
    chosen.prompt,
    chosen.response as chosen,
    rejected.response as rejected,
    chosen.run_id as chosen_run_id,
    rejected.run_id as rejected_run_id,
    chosen.category as chosen_category,
    rejected.category as rejected_category,
    'accepted_over_' || rejected.category as reason,
    greatest(chosen.created_at, rejected.created_at) as created_at,
    struct_pack(chosen := chosen.provenance, rejected := rejected.provenance) as provenance,
from pair
inner join record as chosen on pair.chosen_line = chosen.item_number
inner join record as rejected on pair.rejected_line = rejected.item_number
order by id;

create macro as_text(moment) as strftime(moment, '%Y-%m-%dT%H:%M:%S.%fZ');

copy (from rag) to '$OUT/rag.parquet' (compression zstd, compression_level 3);
copy (select * replace (as_text(created_at) as created_at) from rag) to '$OUT/rag.jsonl' (format json);
copy (from sft) to '$OUT/sft.parquet' (compression zstd, compression_level 3);
copy (select * replace (as_text(created_at) as created_at) from sft) to '$OUT/sft.jsonl' (format json);
copy (from preference) to '$OUT/preference.parquet' (compression zstd, compression_level 3);
copy (select * replace (as_text(created_at) as created_at) from preference) to '$OUT/preference.jsonl' (format json);
copy (from quarantine_rag) to '$OUT/quarantine_rag.parquet' (compression zstd, compression_level 3);
copy (from quarantine_rag) to '$OUT/quarantine_rag.jsonl' (format json);
copy (from quarantine_sft) to '$OUT/quarantine_sft.parquet' (compression zstd, compression_level 3);
copy (from quarantine_sft) to '$OUT/quarantine_sft.jsonl' (format json);
