-- The tables and views of all schemas, by their qualified names.
select schema_name || '.' || table_name as name
from duckdb_tables()
union
select schema_name || '.' || view_name as name
from duckdb_views()
where not internal
