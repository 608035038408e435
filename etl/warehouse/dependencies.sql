-- Fills policy.dependency: which relation reads which other, and which settings, as the engine parses views and macros.
-- 'unknown' stands for a relation of which nothing is known: no view defines it, or its rows may differ each time.
--   $names, $bodies: the names and the definitions of all views
--   $packaged: the names of those views that are the package's own
insert into policy.dependency
with macro as ( -- one with several forms is there several times
    select
        lower(concat(schema_name, '.', function_name)) as name,
        if(function_type = 'table_macro', macro_definition, concat('select ', macro_definition)) as body,
    from duckdb_functions()
    where not internal and function_type in ('macro', 'table_macro')
),

definition as (
    from macro
    union all
    select
        unnest($names::varchar[]),
        unnest($bodies::varchar[]),
),

statement as materialized (
    select
        name,
        row_number() over () as id,
        json_serialize_sql(body) as tree,
    from definition
),

node as materialized ( -- the objects of the parse trees by their place, with what they say of reading
    select
        statement.id,
        part.path as place,
        unnest(
            from_json(
                json_group_object(part.key, part.value),
                '{
                    "class": "varchar", "type": "varchar", "key": "varchar", "alias": "varchar",
                    "catalog_name": "varchar", "schema_name": "varchar", "table_name": "varchar",
                    "column_name_alias": ["varchar"], "using_columns": ["varchar"], "ref_type": "varchar",
                    "schema": "varchar", "function_name": "varchar", "function": {"function_name": "varchar"},
                    "column_names": ["varchar"], "relation_name": "varchar"
                }'
            )
        ),
    from statement,
        json_tree(
            if(tree ->> 'error_message' is null, tree, error(concat(name, ': ', tree ->> 'error_message')))
        ) as part
    where
        part.key in (
            'class', 'type', 'key', 'alias', 'catalog_name', 'schema_name', 'table_name', 'column_name_alias',
            'using_columns', 'ref_type', 'schema', 'function_name', 'function', 'column_names', 'relation_name'
        )
    group by statement.id, part.path
),

step as ( -- the steps of a WITH clause, which are no relations in its scope: all that is below one object
    select
        id,
        lower(key) as step,
        regexp_extract(place, '^(.*)\.cte_map\.map\[\d+\]$', 1) as scope,
    from node
    where key is not null and scope <> ''
),

base_table as materialized (
    select
        id,
        place,
        lower(table_name) as table_name,
        coalesce(schema_name, '') = '' as has_no_schema,
        case
            when catalog_name <> '' or has_no_schema then 'unknown'
            when regexp_full_match(lower(table_name), '[a-z][a-z0-9_]*') then lower(concat(schema_name, '.', table_name))
            else lower(concat(schema_name, '."', table_name, '"'))
        end as relation,
        lower(coalesce(nullif(alias, ''), table_name)) as alias,
        len(column_name_alias) > 0 as renames_columns,
    from node
    where type = 'BASE_TABLE'
),

called as (
    select
        id,
        lower(concat(coalesce(nullif(schema, ''), 'main'), '.', function_name)) as function,
    from node
    where class = 'FUNCTION'
),

named_column as materialized ( -- the parts of the name of each column, whatever it belongs to
    select
        id,
        list_transform(column_names, lambda part: lower(part)) as parts,
    from node
    where class = 'COLUMN_REF'
),

read as materialized (
    select
        id,
        relation,
    from base_table
    where
        not exists (
            from step
            where
                base_table.has_no_schema and base_table.table_name = step.step
                and base_table.id = step.id and starts_with(base_table.place, concat(step.scope, '.'))
        )
    union
    select
        id,
        'unknown',
    from node -- these table functions read nothing but their arguments
    where
        type = 'TABLE_FUNCTION'
        and coalesce(function.function_name, '') not in ('unnest', 'range', 'generate_series', 'json_each', 'json_tree', 'repeat')
    union
    select
        id,
        function,
    from called
    where function in (select name from macro)
    union
    select
        id,
        'unknown',
    from called -- functions of a clock, of chance, of the session
    where
        regexp_replace(function, '^main\.', '')
        in (
            select lower(function_name) from duckdb_functions()
            where stability <> 'CONSISTENT'
        )
    union
    select
        id,
        'unknown',
    from named_column -- functions of a clock that SQL writes without brackets, like columns
    where
        list_has_any(parts, ['current_timestamp', 'current_date', 'current_time', 'localtime', 'localtimestamp'])
),

setting as (
    select column_name as setting
    from duckdb_columns()
    where schema_name = 'policy' and table_name = 'setting'
),

setting_named as materialized (
    select
        named_column.id,
        setting.setting,
    from named_column
    inner join setting on list_contains(named_column.parts, setting.setting)
),

setting_table as ( -- policy.setting where a FROM clause has it; its scope is the SELECT of the clause
    select
        id,
        alias,
        renames_columns,
        regexp_replace(place, '\.from_table(\.left|\.right)*$', '') as scope,
    from base_table
    where relation = 'policy.setting'
),

-- The statements that may read a setting otherwise than by its name: by a star, as one value with the others, by its place,
-- under another name, as what two relations share, or in a pivot. Where it is not certain that one does not, it does.
reads_any as (
    select id
    from setting_table
    where renames_columns
    union
    select id
    from node
    where
        type in ('PIVOT', 'POSITIONAL_REFERENCE')
        or (type = 'JOIN' and (ref_type = 'NATURAL' or len(using_columns) > 0))
    union
    select star.id
    from node as star
    inner join setting_table on star.id = setting_table.id
    where
        star.class = 'STAR'
        and (
            lower(star.relation_name) = setting_table.alias
            or (
                coalesce(star.relation_name, '') = ''
                and starts_with(star.place, concat(setting_table.scope, '.'))
                and not starts_with(star.place, concat(setting_table.scope, '.cte_map.'))
            )
        )
    union
    select named_column.id
    from named_column
    inner join setting_table on named_column.id = setting_table.id
    where named_column.parts in ([setting_table.alias], ['policy', 'setting'])
),

setting_read as materialized (
    select
        read.id,
        setting.setting,
    from read
    cross join setting
    where
        read.relation = 'policy.setting'
        and (
            read.id in (from reads_any)
            or read.id not in (select id from setting_named)
            or (read.id, setting.setting) in (from setting_named)
        )
),

declared as ( -- what no SQL file says: what collect does, and what decides the known paths and the hold-out
    from (
        values
        ('evidence.stored_record', 'evidence.incoming', null),
        ('evidence.long_text', 'evidence.incoming', null),
        ('evidence.skipped', 'evidence.incoming', null),
        ('policy.known_path', 'policy.setting', 'known_paths_sha256'),
        ('policy.holdout', 'policy.setting', 'holdout_sha256')
    )
    union all
    select
        'raw.mapped',
        unnest(list_filter($names::varchar[], lambda name: starts_with(name, 'sources.'))),
        null,
),

found as materialized (
    select
        statement.name as relation,
        read.relation as reads,
        setting_read.setting,
    from statement
    left join read on statement.id = read.id
    left join setting_read on read.id = setting_read.id and read.relation = 'policy.setting'
    union
    from declared
),

-- Who asks the admission for the rows of any dataset is concerned by all its settings. A view of the package asks for those of
-- one dataset, as long as the admission is the package's too.
asking as (
    select distinct relation
    from found
    where
        reads in ('policy.admission', 'datasets.decision')
        and not list_has_all($packaged::varchar[], [relation, 'policy.admission'])
)

from found
union
select
    asking.relation,
    admission.reads,
    admission.setting,
from asking
cross join found as admission
where admission.relation = 'policy.admission' and admission.reads = 'policy.setting'
order by relation, reads, setting
