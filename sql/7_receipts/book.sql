-- One row per stage: its book as the relations of this warehouse have it now. Law: records_in = accepted + rejected + quarantined + skipped.
with category as (
    select
        count(*) as records_in,
        count(*) filter (where category = 'accepted') as accepted,
        count(*) filter (where category = 'rejected') as rejected,
        count(*) filter (where category in ('partially_accepted', 'needs_human_review')) as quarantined,
    from scored.run
),

rag as (
    select
        count(*) filter (where quarantine_reason is null) as accepted,
        count(*) filter (where quarantine_reason is not null) as quarantined,
    from datasets.fate_rag
),

sft as (
    select
        count(*) filter (where quarantine_reason is null) as accepted,
        count(*) filter (where quarantine_reason is not null) as quarantined,
    from datasets.fate_sft
),

candidate as (
    select count(*) as records_in
    from pairs.candidate
),

preference as (
    select
        count(*) filter (where quarantine_reason is null and skip_reason is null) as accepted,
        count(*) filter (where quarantine_reason is not null) as quarantined,
        count(*) filter (where quarantine_reason is null and skip_reason is not null) as skipped,
    from datasets.fate_preference
)

select
    'collect' as stage,
    (select coalesce(sum(record_count), 0)::bigint from evidence.file) as records_in,
    (select count(*) from evidence.record) as accepted,
    0::bigint as rejected,
    0::bigint as quarantined,
    (select count(*) from evidence.skipped) as skipped,
    (select coalesce(sum(blank_count), 0)::bigint from evidence.file) as blank,
union all
select
    'score' as stage,
    (select count(*) from evidence.record) as records_in,
    category.accepted,
    category.rejected,
    category.quarantined,
    0::bigint as skipped,
    0::bigint as blank,
from category
union all
select
    'export-rag' as stage,
    category.records_in,
    rag.accepted,
    0::bigint as rejected,
    rag.quarantined,
    0::bigint as skipped,
    0::bigint as blank,
from rag
cross join category
union all
select
    'export-sft' as stage,
    category.records_in,
    sft.accepted,
    0::bigint as rejected,
    sft.quarantined,
    0::bigint as skipped,
    0::bigint as blank,
from sft
cross join category
union all
select
    'export-preference' as stage,
    candidate.records_in,
    preference.accepted,
    0::bigint as rejected,
    preference.quarantined,
    preference.skipped,
    0::bigint as blank,
from preference
cross join candidate
