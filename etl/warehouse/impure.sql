-- The mappings that read what collecting makes, so that what they find would depend on what came before; there must be none.
--   mapping: the mapping
--   reads: what it reads of that
with recursive made_by_collecting (relation) as (
    from (values ('evidence.stored_record'), ('evidence.long_text'), ('evidence.skipped'), ('evidence.file'))
    union
    select dependency.relation
    from policy.dependency as dependency
    inner join made_by_collecting on dependency.reads = made_by_collecting.relation
),

mapping as (
    select reads as name
    from policy.dependency
    where relation = 'raw.mapped'
)

select
    mapping.name as mapping,
    string_agg(distinct dependency.reads, ', ' order by dependency.reads) as reads,
from mapping
inner join policy.dependency as dependency on mapping.name = dependency.relation
where dependency.reads in (from made_by_collecting)
group by mapping.name
order by mapping.name
