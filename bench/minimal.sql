-- The baseline: a bare DuckDB script that writes the same datasets from the evidence shape, with nothing of what the
-- product adds: no strict reading, no reasons, no validation, no audit, no receipts. $EVIDENCE and $OUT are folders.
create table line as
select
    filename as source_path,
    json,
from read_json('$EVIDENCE/**/*.jsonl', columns = {'json': 'json'}, format = 'newline_delimited', records = false,
    ignore_errors = true, filename = true);

create table record as
select
    row_number() over () as n,
    sha256(json::varchar) as evidence_id,
    unnest(json_transform(json, '{"run_id": "VARCHAR", "task_id": "VARCHAR", "created_at": "TIMESTAMP",
        "model": "VARCHAR", "prompt": "VARCHAR", "response": "VARCHAR", "verdict": "VARCHAR"}')),
from line;

create table scored as
select
    *,
    case verdict
        when 'accept' then 'accepted'
        when 'partial' then 'partially_accepted'
        when 'reject' then 'rejected'
        else 'needs_human_review'
    end as category,
from record
where task_id is not null;

create view rag as
select evidence_id as id, run_id, task_id, category, left(prompt, 120) as title, response as content, model, created_at
from scored where category in ('accepted', 'partially_accepted') order by id;

create view sft as
select evidence_id as id, run_id, task_id, category, prompt as instruction, response, model, created_at
from scored where category = 'accepted' order by id;

create view preference as
with side as (
    select *,
        row_number() over (partition by task_id, prompt, category order by created_at, evidence_id) as place,
        bool_or(category = 'rejected') over (partition by task_id, prompt) as has_rejected,
    from scored where category <> 'needs_human_review'
)
select c.evidence_id || r.evidence_id as id, c.task_id, c.prompt, c.response as chosen, r.response as rejected,
from side as c
inner join side as r on c.task_id = r.task_id and c.prompt = r.prompt
where c.category = 'accepted' and c.place <= 5 and r.place <= 5
    and (r.category = 'rejected' or (r.category = 'partially_accepted' and not r.has_rejected))
qualify row_number() over (partition by c.task_id order by greatest(c.place, r.place), c.place + r.place, c.place) <= 5
order by id;

copy (from rag) to '$OUT/rag.parquet' (compression zstd);
copy (from rag) to '$OUT/rag.jsonl' (format json);
copy (from sft) to '$OUT/sft.parquet' (compression zstd);
copy (from sft) to '$OUT/sft.jsonl' (format json);
copy (from preference) to '$OUT/preference.parquet' (compression zstd);
copy (from preference) to '$OUT/preference.jsonl' (format json);
