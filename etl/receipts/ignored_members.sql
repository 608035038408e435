-- How many members of archives each rule ignores.
--   ignored_by: the rule
--   members: how many
with counted as (
    select unnest(ignored_members, recursive := true) from evidence.file
)

select
    ignored_by,
    sum(members)::bigint as members,
from counted
group by ignored_by
order by ignored_by
