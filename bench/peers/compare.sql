-- What the baseline compares, see read.sql: texts in normal form, and their hashes.

-- # Texts as they are compared: the cheapest test that tells a text which is normal already comes first.

create macro is_blank(content) as
not regexp_matches(coalesce(content, ''), '[^\p{Z}\p{Cc}\p{Cf}\p{Co}]');

create macro trimmed(content) as
regexp_replace(content, '^[\p{Z}\x{09}-\x{0D}\x{85}]+|[\p{Z}\x{09}-\x{0D}\x{85}]+$', '', 'g');

create macro with_spaces(content) as
replace(replace(replace(replace(replace(content, chr(9), ' '), chr(10), ' '), chr(11), ' '), chr(12), ' '), chr(13), ' ');

create macro with_single_spaces(content) as
regexp_replace(content, '  +', ' ', 'g');

-- Whether a text has, beside these characters of ASCII, none but letters, numbers, punctuation and symbols that are in normal form C.
create macro is_simple(content, ascii) as
not regexp_matches(
    content,
    '[^' || ascii || '\p{L}\p{N}\p{P}\p{S}]|[\x{374}-\x{387}\x{958}-\x{95F}\x{9DC}-\x{9DF}\x{A33}-\x{A5E}\x{B5C}\x{B5D}'
    || '\x{F43}-\x{F69}\x{1161}-\x{1175}\x{11A8}-\x{11C2}\x{1F71}-\x{1FFD}\x{2126}-\x{212B}\x{2329}\x{232A}\x{2ADC}'
    || '\x{F900}-\x{FAD9}\x{FB1D}-\x{FB4E}\x{1D15E}-\x{1D1C0}\x{2F800}-\x{2FA1D}]'
);

create macro normalised(content) as
list_transform(
    [case
        when content is null then ''
        when not regexp_matches(content, '[^ -~]|  ') then content
        when is_simple(content, '\x09-\x0D ') then with_single_spaces(with_spaces(content))
        when is_simple(content, '\x00-\x7F')
            then with_single_spaces(regexp_replace(with_spaces(content), '[\x00-\x1F\x7F]', '', 'g'))
        else with_single_spaces(nfc_normalize(regexp_replace(
            regexp_replace(
                with_spaces(content),
                '[\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]', ' ', 'g'
            ),
            '[\p{Cc}\p{Cf}\p{Co}]', '', 'g'
        )))
    end],
    lambda flat: case when starts_with(flat, ' ') or ends_with(flat, ' ') then trim(flat, ' ') else flat end
)[1];

create macro title(content) as
case
    when length(regexp_extract(trimmed(content), '^[^\n\r]*')) <= 120
        then trimmed(regexp_extract(trimmed(content), '^[^\n\r]*'))
    else trimmed(regexp_replace(
        regexp_replace(left(trimmed(content), 121), '^(.*)[\p{Z}\x{09}-\x{0D}\x{85}].*$', '\1', 's'), '^(.{120}).$', '\1', 's'
    ))
end;

-- The arguments of a call: the strings among its values are compared as texts.
create macro comparable_arguments(arguments) as
case
    when not regexp_matches(arguments, '[^ -~]|\\|  |" | "') then arguments
    else coalesce(list_aggregate(
        list_transform(
            regexp_extract_all(arguments, '"(?:[^"\\]|\\.)*":?|[^"]+'),
            lambda token: case
                when starts_with(token, '"') and not ends_with(token, ':') then to_json(normalised(token::json ->> '$'))::varchar
                else token
            end
        ),
        'string_agg', ''
    ), '')
end;

-- The calls of messages as they are compared, and how many each message has.
create macro comparable_calls(said) as
struct_pack(
    numbers := list_transform(said, lambda message: len(message.tool_calls)),
    made := list_transform(
        flatten(list_transform(said, lambda message: message.tool_calls)),
        lambda made: struct_pack(name := made.function.name, arguments := comparable_arguments(made.function.arguments))
    )
);

create macro as_array(messages) as
'[' || array_to_string(messages, ',') || ']';

-- JSON text in normal form: the engine writes digits of escapes in upper case. ESC is the only such character in the bench's texts,
-- and none of these has an escaped backslash before such digits.
create macro small_digits(json) as
replace(json, '\u001B', '\u001b');

-- # Conversations: prompt and answer, cut after the last assistant message. All have one.

-- Each step is a select of its own: a column that others are made of is computed once.
create table talk as
with heard as (
    select
        rowid as line,
        list_transform(messages, lambda message: small_digits(message::varchar)) as written,
        from_json(
            as_array(messages),
            '[{"role": "VARCHAR", "content": "VARCHAR", "tool_calls": [{"function": {"name": "VARCHAR", "arguments": "JSON"}}]}]'
        ) as said,
    from line
    where messages is not null
),

compared as (
    select
        *,
        list_transform(said, lambda message: message.role) as roles,
        list_transform(said, lambda message: normalised(message.content)) as texts,
    from heard
),

placed as (
    select
        *,
        coalesce(
            list_position(roles, 'user') + nullif(list_position(roles[list_position(roles, 'user') + 1:], 'assistant'), 0),
            list_position(roles, 'assistant')
        ) as answered,
        len(roles) + 1 - list_position(list_reverse(roles), 'assistant') as ended,
    from compared
),

parted as (
    select
        line,
        said[:answered - 1] as prompt_said,
        said[answered:ended] as answer_said,
        written[:answered - 1] as prompt_written,
        written[answered:ended] as answer_written,
        roles[:answered - 1] as prompt_roles,
        roles[answered:ended] as answer_roles,
        texts[:answered - 1] as prompt_texts,
        texts[answered:ended] as answer_texts,
        list_filter(said[answered:ended], lambda message: message.role = 'assistant') as own,
    from placed
),

hashed as (
    select
        *,
        list_filter(prompt_said, lambda message: message.role = 'user')[-1].content as prompt,
        prompt_roles = ['user'] as is_prompt_one_text,
        len(answer_said) = 1 and answer_said[1].tool_calls is null as is_answer_one_text,
        hash(prompt_roles, prompt_texts, comparable_calls(prompt_said)) as prompt_hash,
        hash(answer_roles, answer_texts, comparable_calls(answer_said)) as answer_hash,
    from parted
)

select
    line,
    prompt,
    list_filter(own, lambda message: not is_blank(message.content))[-1].content as response,
    as_array(prompt_written) as prompt_messages,
    as_array(answer_written) as answer_messages,
    case
        when
            is_prompt_one_text and regexp_full_match(prompt_written[1], '\{"role":"user","content":"(?:[^"\\]|\\.)*"\}')
            then hash(prompt)
        else hash('messages', prompt_written)
    end as asked,
    -- equal to those of the record whose prompt and response the two messages are
    case when is_answer_one_text then hash(answer_texts[1]) else answer_hash end as answer,
    case
        when is_prompt_one_text and is_answer_one_text then hash(hash(prompt_texts[1]), hash(answer_texts[1]))
        else hash(prompt_hash, answer_hash)
    end as content,
    list_sum(list_transform(answer_texts, lambda content: length(content))) as answer_length,
    not list_bool_or(list_transform(own, lambda message: message.tool_calls is not null or not is_blank(message.content)))
        as is_answer_empty,
    -- few have any: the whole text is looked at first
    case
        when contains(as_array(answer_written), '{"unparsed":"')
            then coalesce(
                list_bool_or(list_transform(
                    flatten(list_transform(own, lambda message: message.tool_calls)),
                    lambda made: regexp_full_match(made.function.arguments, '\{"unparsed":"(?:[^"\\]|\\.)*"\}')
                )),
                false
            )
        else false
    end as has_unparsed_call,
from hashed;

-- # What is compared: a narrow row for each line.

create type category as enum('rejected', 'needs_human_review', 'partially_accepted', 'accepted');

create table hashed as
with turn as (
    select
        line.rowid as line,
        line.* exclude (prompt, response),
        coalesce(line.prompt, talk.prompt) as prompt,
        talk.line is not null as is_talk,
        talk.asked,
        talk.answer,
        talk.content,
        talk.answer_length,
        talk.is_answer_empty,
        talk.has_unparsed_call,
        normalised(coalesce(line.prompt, talk.prompt)) as normal_prompt,
        normalised(coalesce(line.response, talk.response)) as normal_response,
        lower(trimmed(line.verdict)) as word,
    from line
    left join talk on line.rowid = talk.line
)

select
    line,
    hash(task_id) as task,
    hash(task_id, run_id) as attempt,
    is_blank(run_id) as is_run_blank,
    created_at,
    case
        when word in (
            'accept', 'accepted', 'approve', 'approved', 'pass', 'passed', 'success', 'succeeded', 'resolved', 'correct', 'true', 'lgtm'
        ) then 'accepted'
        when word in ('partial', 'partially_accepted', 'request_changes', 'cycle') then 'partially_accepted'
        when word in ('reject', 'rejected', 'fail', 'failed', 'failure', 'block', 'blocked', 'unresolved', 'incorrect', 'false')
            then 'rejected'
        when word <> '' or score is null or score not between 0 and 1 then 'needs_human_review'
        when score >= 0.9 then 'accepted'
        when score >= 0.5 then 'partially_accepted'
        else 'rejected'
    end::category as category,
    score,
    case when comparison is not null then hash(comparison) end as comparison,
    case when asked is not null then asked when prompt is not null then hash(prompt) end as asked,
    case when tools is not null then hash(tools) end as tools,
    hash(normal_prompt) as prompt,
    normal_prompt = '' as is_prompt_blank,
    normal_response = '' as is_response_blank,
    coalesce(answer, hash(normal_response)) as answer,
    coalesce(answer_length, length(normal_response)) as answer_length,
    coalesce(is_answer_empty, normal_response = '') as is_answer_empty,
    coalesce(has_unparsed_call, false) as has_unparsed_call,
    hash(hash(normal_prompt), hash(normal_response)) as turn,
    coalesce(content, hash(hash(normal_prompt), hash(normal_response))) as content,
    is_talk,
    -- NaN is no JSON. This is no filter, which would make the engine take line for the smaller side of the join.
    not is_blank(task_id)
    and coalesce(isfinite(latency_ms), true)
    and coalesce(isfinite(cost_usd), true)
    and coalesce(isfinite(score), true) as is_read,
from turn;
