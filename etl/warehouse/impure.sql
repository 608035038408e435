-- The mappings that read what mappings make, so that what they find would depend on what came before; there must be none.
--   mapping: the mapping
--   reads: what it reads of that
with recursive made_by_mappings (relation) as (
    from (values ('evidence.record'), ('evidence.skipped'))
    union
    select dependency.relation
    from policy.dependency as dependency
    inner join made_by_mappings on dependency.reads = made_by_mappings.relation
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
where dependency.reads in (from made_by_mappings)
group by mapping.name
order by mapping.name
