-- The mappings that read what mappings make, so that what they find would depend on what came before; there must be none.
--   mapping: the mapping
--   reads: what it reads of that
with recursive made_by_mappings (relation) as (
    from (values ('evidence.record'), ('evidence.skipped'))
    union
    select dependency.relation
    from policy.dependency as dependency
    inner join made_by_mappings on dependency.reads = made_by_mappings.relation
)

select
    relation as mapping,
    string_agg(distinct reads, ', ' order by reads) as reads,
from policy.dependency
where starts_with(relation, 'sources.') and reads in (from made_by_mappings)
group by relation
order by relation
