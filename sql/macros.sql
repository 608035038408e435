-- What the views say often, said once. SQL macros are part of the warehouse file, so the views work in anybody's session.

create schema if not exists policy;
create schema if not exists sources;

-- Blank: null, or no character other than white space.
create or replace macro policy.is_blank(content) as
not regexp_matches(coalesce(content, ''), '[^[:space:]\p{Z}]');

-- White space cut off at both ends.
create or replace macro policy.trimmed(content) as
regexp_replace(content, '^[[:space:]\p{Z}]+|[[:space:]\p{Z}]+$', '', 'g');

-- For mappings: what a fragment of JSON (json_transform to "JSON") is. An absent field is null, and so is the answer about it.
create or replace macro sources.is_text(fragment) as
starts_with(fragment, '"');

create or replace macro sources.is_number(fragment) as
case
    when fragment is not null
        then
            -- of all that a JSON value can begin with, only a minus sign and digits lie between these two
            left(fragment, 1) between '-' and '9'
            and coalesce(isfinite(try_cast(fragment::varchar as double)), false)
end;

create or replace macro sources.is_integer(fragment) as
case
    when fragment is not null
        then
            regexp_full_match(fragment, '-?[0-9]+')
            and try_cast(fragment::varchar as bigint) is not null
end;

create or replace macro sources.is_object(fragment) as
starts_with(fragment, '{');

create or replace macro sources.is_array(fragment) as
starts_with(fragment, '[');

create or replace macro sources.is_text_array(fragment) as
starts_with(fragment, '[')
and len(list_filter(json_type(fragment, '$[*]'), lambda kind: kind <> 'VARCHAR')) = 0;

-- For mappings: the value of such a fragment.
create or replace macro sources.as_text(fragment) as
fragment ->> '$';

create or replace macro sources.as_number(fragment) as
try_cast(fragment::varchar as double);

create or replace macro sources.as_integer(fragment) as
try_cast(fragment::varchar as bigint);

create or replace macro sources.as_text_array(fragment) as
json_extract_string(fragment, '$[*]');
