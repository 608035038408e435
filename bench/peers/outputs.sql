-- The outputs of the baseline, see read.sql, in the order of the lines. Ids are the script's own.

create macro provenance(line, item_sha256) as
struct_pack(source_path := 'evidence.jsonl', item_number := line + 1, record_number := 1::bigint, item_sha256 := item_sha256);

create view rag as
select
    digest.item_sha256 as id,
    line.run_id as source_run_id,
    line.task_id,
    'evidence' as source,
    decision.category as source_category,
    nullif(title(coalesce(line.prompt, talk.prompt)), '') as title,
    coalesce(line.response, talk.response) as content,
    line.model,
    line.created_at,
    'train' as split,
    provenance(line.rowid, digest.item_sha256) as provenance,
from line
inner join decision on line.rowid = decision.line and decision.rag_reasons = []
inner join digest on line.rowid = digest.rowid
left join talk on line.rowid = talk.line
order by line.rowid;

create view sft as
select
    digest.item_sha256 as id,
    line.run_id as source_run_id,
    line.task_id,
    'evidence' as source,
    decision.category as quality_score,
    coalesce(line.prompt, talk.prompt) as instruction,
    coalesce(line.response, talk.response) as response,
    left(talk.prompt_messages, -1) || ',' || talk.answer_messages[2:] as messages,
    case when talk.line is not null then line.tools end as tools,
    line.model,
    line.created_at,
    'train' as split,
    provenance(line.rowid, digest.item_sha256) as provenance,
from line
inner join decision on line.rowid = decision.line and decision.sft_reasons = []
inner join digest on line.rowid = digest.rowid
left join talk on line.rowid = talk.line
order by line.rowid;

create macro refused(reasons_by_line) as table
    select
        digest.item_sha256 as id,
        line.run_id as source_run_id,
        line.task_id,
        decision.category,
        decision.reasons[1] as quarantine_reason,
        decision.reasons as quarantine_reasons,
        detail(
            decision.reasons[1], decision.category, decision.contradicted, decision.first, decision.beaten_by
        ) as detail,
        provenance(line.rowid, digest.item_sha256) as provenance,
    from line
    inner join query_table(reasons_by_line) as decision on line.rowid = decision.line
    inner join digest on line.rowid = digest.rowid
    order by line.rowid;

create view rag_refused as
select
    * exclude (rag_first, sft_first),
    rag_reasons as reasons,
    rag_first as beaten_by,
from decision
where rag_reasons <> [];

create view sft_refused as
select
    * exclude (rag_first, sft_first),
    sft_reasons as reasons,
    sft_first as beaten_by,
from decision
where sft_reasons <> [];

create view quarantine_rag as
from refused('rag_refused');

create view quarantine_sft as
from refused('sft_refused');

create view preference as
with side as materialized (
    select
        line.rowid as number,
        digest.item_sha256,
        line.run_id,
        line.task_id,
        line.created_at,
        line.tools,
        coalesce(line.prompt, talk.prompt) as prompt,
        coalesce(line.response, talk.response) as response,
        talk.line is not null as is_talk,
        talk.prompt_messages,
        coalesce(talk.answer_messages, small_digits('[' || to_json({ role: 'assistant', content: line.response })::varchar || ']'))
            as answer_messages,
    from line
    inner join digest on line.rowid = digest.rowid
    left join talk on line.rowid = talk.line
    where line.rowid in (
        select chosen from pair
        union all
        select rejected from pair
    )
)

select
    sha256(chosen.item_sha256 || rejected.item_sha256) as id,
    chosen.task_id,
    chosen.prompt,
    chosen.response as chosen,
    rejected.response as rejected,
    coalesce(chosen.prompt_messages, rejected.prompt_messages) as prompt_messages,
    case when chosen.is_talk or rejected.is_talk then chosen.answer_messages end as chosen_messages,
    case when chosen.is_talk or rejected.is_talk then rejected.answer_messages end as rejected_messages,
    case when chosen.is_talk or rejected.is_talk then chosen.tools end as tools,
    chosen.run_id as chosen_run_id,
    rejected.run_id as rejected_run_id,
    pair.chosen_category,
    pair.rejected_category,
    'accepted_over_' || pair.rejected_category as reason,
    greatest(chosen.created_at, rejected.created_at) as created_at,
    'train' as split,
    struct_pack(
        chosen := provenance(pair.chosen, chosen.item_sha256), rejected := provenance(pair.rejected, rejected.item_sha256)
    ) as provenance,
from pair
inner join side as chosen on pair.chosen = chosen.number
inner join side as rejected on pair.rejected = rejected.number
where pair.reasons = []
order by pair.chosen, pair.rejected;

create view quarantine_preference as
select
    sha256(chosen_item.item_sha256 || rejected_item.item_sha256) as id,
    chosen.run_id as chosen_run_id,
    rejected.run_id as rejected_run_id,
    chosen.task_id,
    pair.chosen_category,
    pair.rejected_category,
    pair.reasons[1] as quarantine_reason,
    pair.reasons as quarantine_reasons,
    pair.detail,
    struct_pack(
        chosen := provenance(pair.chosen, chosen_item.item_sha256), rejected := provenance(pair.rejected, rejected_item.item_sha256)
    ) as provenance,
from pair
inner join line as chosen on pair.chosen = chosen.rowid
inner join line as rejected on pair.rejected = rejected.rowid
inner join digest as chosen_item on pair.chosen = chosen_item.rowid
inner join digest as rejected_item on pair.rejected = rejected_item.rowid
where pair.reasons <> []
order by pair.chosen, pair.rejected;
