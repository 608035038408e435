-- One row per stage, stat and first reason: how many records it set aside, as the relations of this warehouse have it now.
-- Each stat of receipts.book is the sum of its reasons here.
select
    'collect' as stage,
    'skipped' as stat,
    reason,
    count(*) as records,
from evidence.skipped
group by reason
union all
select
    'score' as stage,
    case when category = 'rejected' then 'rejected' else 'quarantined' end as stat,
    category as reason,
    count(*) as records,
from scored.run
where category <> 'accepted'
group by category
union all
select
    'export-rag' as stage,
    'quarantined' as stat,
    quarantine_reason as reason,
    count(*) as records,
from datasets.fate_rag
where quarantine_reason is not null
group by quarantine_reason
union all
select
    'export-sft' as stage,
    'quarantined' as stat,
    quarantine_reason as reason,
    count(*) as records,
from datasets.fate_sft
where quarantine_reason is not null
group by quarantine_reason
union all
select
    'export-preference' as stage,
    'quarantined' as stat,
    quarantine_reason as reason,
    count(*) as records,
from datasets.fate_preference
where quarantine_reason is not null
group by quarantine_reason
union all
select
    'export-preference' as stage,
    'skipped' as stat,
    skip_reason as reason,
    count(*) as records,
from datasets.fate_preference
where quarantine_reason is null and skip_reason is not null
group by skip_reason
