-- What in a condition may have another value each time that it is asked for: functions by their name, and words such as current_date.
--   name: the function, or the word
--   $condition: one expression
with tree as (
    select json_serialize_sql('select ' || $condition)::varchar as tree
)

select distinct function_name as name
from duckdb_functions()
cross join tree
where stability <> 'CONSISTENT' and list_contains(regexp_extract_all(tree, '"function_name":"([^"]+)"', 1), function_name)
union
select unnest(regexp_extract_all(tree, '"column_names":\["((?i:current_date|current_time|current_timestamp|localtime|localtimestamp))"\]', 1))
from tree
order by all
