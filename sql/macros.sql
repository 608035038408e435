-- Expressions that several views share. SQL macros are part of the warehouse file, so the views work in any session.

create schema if not exists policy;
create schema if not exists sources;
create schema if not exists drift;

-- Whether a text is blank: nothing of it is left once it is normalised.
create or replace macro policy.is_blank(content) as
not regexp_matches(coalesce(content, ''), '[^\p{Z}\p{Cc}\p{Cf}\p{Co}]');

-- A text without the white space at its two ends.
create or replace macro policy.trimmed(content) as
regexp_replace(content, '^[\p{Z}\x{09}-\x{0D}\x{85}]+|[\p{Z}\x{09}-\x{0D}\x{85}]+$', '', 'g');

-- A text without the spaces at its ends. Few texts have any; trim reads the whole text, and takes longer than to hash it.
create or replace macro policy.without_outer_spaces(content) as
case when starts_with(content, ' ') or ends_with(content, ' ') then trim(content, ' ') else content end;

-- A text with a space for each tab, line feed, vertical tab, form feed and carriage return. Five replacements take a quarter of
-- the time of one regular expression.
create or replace macro policy.with_spaces(content) as
replace(replace(replace(replace(replace(content, chr(9), ' '), chr(10), ' '), chr(11), ' '), chr(12), ' '), chr(13), ' ');

-- A text with one space where several follow each other.
create or replace macro policy.with_single_spaces(content) as
regexp_replace(content, '  +', ' ', 'g');

-- Whether a text has no characters but these of ASCII, and letters, numbers, punctuation and symbols that are common. None of them
-- is one that Unicode normal form C (UAX #15) replaces or may join to the character before it. Ranges, because the engine compiles an
-- expression anew for each 2,048 rows where it stands in a lambda: a class such as \p{L} then takes longer than the texts.
create or replace macro policy.is_simple(content, ascii) as
not regexp_matches(
    content,
    '[^' || ascii || '\x{A1}-\x{AC}\x{AE}-\x{2FF}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{482}\x{48A}-\x{52F}'
    || '\x{5D0}-\x{5EA}\x{620}-\x{64A}\x{1E00}-\x{1EFF}\x{2010}-\x{2027}\x{2030}-\x{205E}\x{20A0}-\x{20C0}\x{2190}-\x{2328}'
    || '\x{2460}-\x{2ADB}\x{3001}-\x{3029}\x{3041}-\x{3096}\x{309B}-\x{30FF}\x{3220}-\x{A48C}\x{AC00}-\x{D7A3}\x{FF01}-\x{FF9D}'
    || '\x{1F300}-\x{1F6D7}\x{1F900}-\x{1FA53}]'
);

-- A text without the control characters of ASCII; white space is none by then.
create or replace macro policy.without_controls(content) as
regexp_replace(content, '[\x00-\x1F\x7F]', '', 'g');

-- A text without private-use characters in Unicode normal form C. The engine drops U+11A7 after a syllable of Hangul, as if it were a
-- final consonant, so a private-use character stands for it meanwhile: neither joins to what is before it.
create or replace macro policy.nfc(content) as
replace(nfc_normalize(replace(content, chr(4519), chr(57344))), chr(57344), chr(4519));

-- A text as texts are compared: each white space is a space; control, format and private-use characters are left out; Unicode
-- normal form C; one space where several follow each other, none at the ends. Null is the empty text. The first three cases are
-- the same in fewer steps, for most texts: printable ASCII with single spaces is that already between its ends, and in a simple
-- text only white space differs; logs of a terminal have control characters of ASCII as well.
create or replace macro policy.normalised(content) as
-- in a list of one, so that its ends are looked at once it is computed, and it is not computed for each look
list_transform(
    [case
        when content is null then ''
        when not regexp_matches(content, '[^ -~]|  ') then content
        when policy.is_simple(content, '\x09-\x0D -~') then policy.with_single_spaces(policy.with_spaces(content))
        when policy.is_simple(content, '\x00-\x7F')
            then policy.with_single_spaces(policy.without_controls(policy.with_spaces(content)))
        else policy.with_single_spaces(policy.nfc(regexp_replace(
            regexp_replace(
                policy.with_spaces(content),
                '[\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]', ' ', 'g'
            ),
            '[\p{Cc}\p{Cf}\p{Co}]', '', 'g'
        )))
    end],
    lambda flat: policy.without_outer_spaces(flat)
)[1];

-- A conversation up to its last assistant message, as datasets have it; its prompt; and its answer, which is the rest. They take
-- columns of evidence.record, and give JSON text. Where no assistant speaks, all is prompt.
create or replace macro policy.conversation(messages, answer_end) as
left(messages, answer_end) || ']';

create or replace macro policy.prompt_messages(messages, prompt_end) as
case when prompt_end is null then messages else left(messages, prompt_end) || ']' end;

create or replace macro policy.answer_messages(messages, prompt_end, answer_end) as
'[' || ltrim(substring(messages, prompt_end + 1, answer_end - prompt_end), ',') || ']';

-- Texts one after the other, each but the first after a separator; none are an empty text. array_to_string computes its list twice.
create or replace macro policy.joined(texts, separator) as
coalesce(list_aggregate(texts, 'string_agg', separator), '');

-- JSON text in which the digits of escapes are in lower case, but for text with an escaped backslash.
create or replace macro policy.with_small_digits(content) as
replace(replace(replace(
    replace(replace(replace(
        replace(replace(replace(
            content, '\u000B', '\u000b'
        ), '\u000E', '\u000e'), '\u000F', '\u000f'), '\u001A', '\u001a'
    ), '\u001B', '\u001b'), '\u001C', '\u001c'), '\u001D', '\u001d'
), '\u001E', '\u001e'), '\u001F', '\u001f');

-- A text as JSON, as the normal form of conversations spells it. An escaped backslash begins no escape, so the text between such is
-- looked at.
create or replace macro policy.json_text(content) as
case
    when regexp_matches(content, '[\x0B\x0E\x0F\x1A-\x1F]')
        then policy.joined(
            list_transform(string_split(to_json(content)::varchar, '\\'), lambda part: policy.with_small_digits(part)), '\\'
        )
    else to_json(content)::varchar
end;

-- A text as the one message of a conversation.
create or replace macro policy.message(role, content) as
'[{"role":"' || role || '","content":' || policy.json_text(content) || '}]';

-- The messages of JSON text in normal form, each with its role, its text and its calls.
create or replace macro policy.messages(messages) as
json_transform(
    messages,
    '[{"role": "VARCHAR", "content": "VARCHAR", "tool_calls": [{"function": {"name": "VARCHAR", "arguments": "JSON"}}]}]'
);

-- The arguments of a call, a JSON object, as they are compared: the strings among its values as texts are. Most hold nothing that is
-- not normal: no escape, no other character than those of ASCII that are seen, no two spaces, none at an end.
create or replace macro policy.comparable_arguments(arguments) as
case
    when not regexp_matches(arguments, '[^ -~]|\\|  |" | "') then arguments
    else policy.joined(
        list_transform(
            -- a key is followed by a colon
            regexp_extract_all(arguments, '"(?:[^"\\]|\\.)*":?|[^"]+'),
            lambda token: case
                when starts_with(token, '"') and not ends_with(token, ':')
                    then to_json(policy.normalised(token::json ->> '$'))::varchar
                else token
            end
        ),
        ''
    )
end;

-- The calls of a message as they are compared: JSON texts, one after the other.
create or replace macro policy.comparable_calls(calls) as
policy.joined(
    list_transform(
        calls, lambda made: concat(to_json(made.function.name), policy.comparable_arguments(made.function.arguments))
    ),
    ''
);

-- The texts of messages as texts are compared.
create or replace macro policy.normal_texts(said) as
list_transform(said, lambda message: policy.normalised(message.content));

-- One text for messages, whose texts are given as they are compared, that is equal where they are. The texts hold no control
-- characters, and neither do roles and JSON texts.
create or replace macro policy.comparable(said, texts) as
concat(
    policy.joined(
        list_transform(said, lambda message: concat(message.role, policy.comparable_calls(message.tool_calls))), chr(31)
    ),
    chr(30),
    policy.joined(texts, chr(31))
);

-- The messages of the prompt of a conversation, and those of its answer; null where there is none.
create or replace macro policy.asked(messages, prompt_end, answer_end) as
case when answer_end is not null then policy.messages(policy.prompt_messages(messages, prompt_end)) end;

create or replace macro policy.answered(messages, prompt_end, answer_end) as
case when answer_end is not null then policy.messages(policy.answer_messages(messages, prompt_end, answer_end)) end;

-- How many characters messages have, in their texts and in the names and arguments of their calls; how often the assistant speaks in
-- them; and how many calls they have.
create or replace macro policy.characters(said) as
list_sum(list_transform(
    said,
    lambda message: length(message.content) + coalesce(
        list_sum(list_transform(
            message.tool_calls, lambda made: length(made.function.name) + length(made.function.arguments::varchar)
        )),
        0
    )
))::bigint;

create or replace macro policy.turns(said) as
len(list_filter(said, lambda message: message.role = 'assistant'));

create or replace macro policy.calls(said) as
coalesce(list_sum(list_transform(said, lambda message: len(message.tool_calls))), 0)::bigint;

-- Whether the arguments of a call stand for a text that is no JSON object.
create or replace macro policy.is_unparsed(arguments) as
starts_with(arguments, '{"unparsed":"') and regexp_full_match(arguments, '\{"unparsed":"(?:[^"\\]|\\.)*"\}');

-- Whether messages are one message without calls.
create or replace macro policy.is_one_text(said) as
len(said) = 1 and said[1].tool_calls is null;

-- What collect knows of a record's texts without reading them again is computed in steps, each a column of its own: a macro is
-- written out at each place that names it. What only conversations need is behind one case, so that other records pay nothing.

-- The messages of the prompt as they stand, and those of prompt and answer, see policy.messages; null: there are no messages.
create or replace macro policy.said(messages, prompt_end, answer_end) as
case
    when messages is not null
        then struct_pack(
            prompt_messages := policy.prompt_messages(messages, prompt_end),
            prompt := policy.messages(policy.prompt_messages(messages, prompt_end)),
            answer := policy.messages(policy.answer_messages(messages, prompt_end, answer_end))
        )
end;

-- The prompt of a conversation: the text of its last user message.
create or replace macro policy.prompt_of(said) as
case
    when said is not null
        then list_filter(said.prompt, lambda message: message.role = 'user')[-1].content
end;

-- The response of a conversation: the text of the last assistant message that has a visible one.
create or replace macro policy.response_of(said) as
case
    when said is not null
        then list_filter(
            said.answer, lambda message: message.role = 'assistant' and not policy.is_blank(message.content)
        )[-1].content
end;

-- Prompt and response as they are normalised, and their hashes as hex digits.
create or replace macro policy.turn(normal_prompt, normal_response) as
struct_pack(
    prompt := normal_prompt,
    prompt_sha256 := sha256(normal_prompt),
    response := normal_response,
    response_sha256 := sha256(normal_response),
    both_sha256 := sha256(concat(sha256(normal_prompt), sha256(normal_response)))
);

-- The texts of the messages as texts are compared; null: no assistant speaks, so there is no conversation.
create or replace macro policy.normal_said(said) as
case
    when said.answer is not null
        then struct_pack(prompt := policy.normal_texts(said.prompt), answer := policy.normal_texts(said.answer))
end;

-- The prompt and the response of a conversation, see policy.prompt_of and policy.response_of, as texts are compared; null: there is no
-- conversation, or it has none.
create or replace macro policy.normal_prompt_of(said, normal) as
normal.prompt[
    list_filter(range(1, len(said.prompt) + 1), lambda place: said.prompt[place].role = 'user')[-1]
];

create or replace macro policy.normal_response_of(said, normal) as
normal.answer[list_filter(
    range(1, len(said.answer) + 1),
    lambda place: said.answer[place].role = 'assistant' and normal.answer[place] <> ''
)[-1]];

-- What is known of a conversation, with hashes as hex digits; null where there is none. A message alone is compared as a text.
create or replace macro policy.conversed(said, normal) as
case
    when normal is not null
        then struct_pack(
            prompt_messages_sha256 := sha256(case
                when regexp_full_match(said.prompt_messages, '\[\{"role":"user","content":"(?:[^"\\]|\\.)*"\}\]')
                    then said.prompt[1].content
                else 'messages' || chr(31) || said.prompt_messages
            end),
            -- equal to those of the record whose prompt and response these two are
            prompt_sha256 := case
                when policy.is_one_text(said.prompt) and said.prompt[1].role = 'user' and policy.is_one_text(said.answer)
                    then sha256(normal.prompt[1])
                else sha256(policy.comparable(said.prompt, normal.prompt))
            end,
            answer_sha256 := case
                when policy.is_one_text(said.answer) then sha256(normal.answer[1])
                else sha256(policy.comparable(said.answer, normal.answer))
            end,
            answer_length := list_sum(list_transform(normal.answer, lambda content: length(content)))::bigint,
            is_answer_empty := not list_bool_or(list_transform(
                said.answer,
                lambda message: message.role = 'assistant'
                and (message.tool_calls is not null or not policy.is_blank(message.content))
            )),
            has_unparsed_call := coalesce(
                list_bool_or(flatten(list_transform(
                    said.answer,
                    lambda message: list_transform(message.tool_calls, lambda made: policy.is_unparsed(made.function.arguments))
                ))),
                false
            )
        )
end;

-- The columns of evidence.record from prompt_sha256 to tools_sha256. turn is what policy.turn gives, conversed what
-- policy.conversed gives.
create or replace macro policy.content(prompt, turn, conversed, tools) as
struct_pack(
    prompt_sha256 := unhex(case
        when conversed is not null then conversed.prompt_messages_sha256
        -- most prompts are normal already, and hashed once
        when turn.prompt = prompt then turn.prompt_sha256
        else sha256(prompt)
    end),
    prompt_hash := unhex(turn.prompt_sha256),
    prompt_length := length(turn.prompt),
    response_length := length(turn.response),
    answer_hash := unhex(coalesce(conversed.answer_sha256, turn.response_sha256)),
    answer_length := coalesce(conversed.answer_length, length(turn.response)),
    is_answer_empty := coalesce(conversed.is_answer_empty, length(turn.response) = 0),
    has_unparsed_call := coalesce(conversed.has_unparsed_call, false),
    turn_hash := unhex(turn.both_sha256),
    content_hash := unhex(case
        when conversed is null then turn.both_sha256
        else sha256(concat(conversed.prompt_sha256, conversed.answer_sha256))
    end),
    tools_sha256 := unhex(sha256(tools))
);

-- How many bytes the texts of a record take.
create or replace macro policy.text_bytes(prompt, response, messages, tools) as
coalesce(strlen(prompt), 0) + coalesce(strlen(response), 0) + coalesce(strlen(messages), 0) + coalesce(strlen(tools), 0);

-- A text as messages and details repeat it: of a longer one so many characters, the last an ellipsis.
create or replace macro policy.short(content, longest) as
case when length(content) > longest then left(content, longest - 1) || '…' else content end;

-- The place of an item as messages and details name it, of a long path the beginning.
create or replace macro policy.short_place(source_path, item_number) as
policy.short(source_path, 160) || ':' || item_number;

-- A title: the first line of a text, up to 120 characters; a longer one ends before a white space, if it has one there.
create or replace macro policy.title(content) as
case
    when length(regexp_extract(policy.trimmed(content), '^[^\n\r]*')) <= 120
        then policy.trimmed(regexp_extract(policy.trimmed(content), '^[^\n\r]*'))
    else policy.trimmed(regexp_replace(
        regexp_replace(
            left(policy.trimmed(content), 121), '^(.*)[\p{Z}\x{09}-\x{0D}\x{85}].*$', '\1', 's'
        ),
        '^(.{120}).$', '\1', 's'
    ))
end;

-- A verdict as policy.verdict lists it; null where it is blank.
create or replace macro policy.verdict_word(verdict) as
case when not policy.is_blank(verdict) then lower(policy.trimmed(verdict)) end;

-- For mappings: the type of a JSON fragment, which is a field that json_transform gives as "JSON". An absent field is null, and
-- then the answer is null too.
create or replace macro sources.is_text(fragment) as
starts_with(fragment, '"');

create or replace macro sources.is_number(fragment) as
case
    when fragment is not null
        then
            -- of all characters that can begin a JSON value, only the minus sign and the digits lie between these two
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


-- For drift: compares a relative change with a threshold exactly, in whole numbers (a threshold has nine digits). So a change
-- of 29 % is not above 29 %, although 0.29 has no exact binary form. relative_change >= of_prior(tau) means that the share
-- changed by at least the fraction tau of its prior value.
create or replace macro drift.relative_change(prior_records, prior_exposure, records, exposure) as
abs(records::hugeint * prior_exposure - prior_records::hugeint * exposure) * 1000000000;

create or replace macro drift.of_prior(tau, prior_records, exposure) as
round(tau * 1000000000)::hugeint * prior_records * exposure;

-- (1 + x) ln(1 + x) - x: what a count that is 1 + x times its expectation adds to half the deviance, per expected record. Near
-- 0 its series is used, because the formula would subtract two nearly equal numbers.
create or replace macro drift.excess(x) as
case
    when abs(x) < 0.001 then x * x * (1 / 2 - x * (1 / 6 - x * (1 / 12 - x / 20)))
    else (1 + x) * ln(1 + x) - x
end;

-- The logarithm of the probability that a standard normal variable exceeds z, for z >= 0. It is right in any tail, because
-- nothing underflows. The rational approximation is by Y. D. Dia (Approximate incomplete integrals, 2023); its relative error
-- is below 1e-12 up to z = 37.
create or replace macro drift.normal_log_tail(z) as
ln(0.39894228040143268 / (z + 2.92678600515804815))
+ ln((z * z + 8.42742300458043240 * z + 18.38871225773938487) / (z * z + 5.81582518933527391 * z + 8.97280659046817350))
+ ln((z * z + 7.30756258553673541 * z + 18.25323235347346525) / (z * z + 5.70347935898051437 * z + 10.27157061171363079))
+ ln((z * z + 5.66479518878470765 * z + 18.61193318971775795) / (z * z + 5.51862483025707963 * z + 12.72323261907760928))
+ ln((z * z + 4.91396098895240075 * z + 24.14804072812762821) / (z * z + 5.26184239579604207 * z + 16.88639562007936908))
+ ln((z * z + 3.83362947800146179 * z + 11.61511226260603247) / (z * z + 4.92081346632882033 * z + 24.12333774572479110))
- z * z / 2;

-- A probability as text for people.
create or replace macro drift.chance(p) as
case when p < 1e-299 then 'p < 1e-299' else format('p = {:.1g}', p) end;

-- A share as text for people.
create or replace macro drift.percent(share) as
case
    when share = 0 or share >= 0.001 then format('{:.1f} %', 100 * share)
    else format('{:.2g} %', 100 * share)
end;
