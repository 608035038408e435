"""Conversations by example: messages and tools as producers write them, and what they are in normal form."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.ingest.conversation import ROLES, NotNormalError, normalise, normalise_tools

LIMITS = (64, 1_000_000)


def normal(messages: object) -> list[dict[str, Any]]:
    """Return messages in normal form."""
    found = normalise(json.dumps(messages).encode(), *LIMITS).messages
    assert found is not None
    parsed: list[dict[str, Any]] = json.loads(found)
    return parsed


def call(name: str, arguments: object, id_: str = "call_1") -> dict[str, Any]:
    """Return a call in normal form."""
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


OPENAI = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "image_url", "image_url": {"url": "x"}}]},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [{"id": "a1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sign"}'}}],
    },
    {"role": "tool", "tool_call_id": "a1", "content": "a stop sign"},
    {"role": "assistant", "content": "A stop sign."},
]

ANTHROPIC = [
    {"role": "user", "content": "What is it?"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "I should look.", "signature": "s"},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "sign"}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "red"}, {"type": "image"}]},
            {"type": "text", "text": "And now?"},
        ],
    },
    {"role": "assistant", "content": [{"type": "text", "text": "A stop sign."}]},
]

INSPECT = [
    {"id": "m1", "role": "user", "content": "What is it?", "source": "input"},
    {
        "role": "assistant",
        "content": [{"type": "reasoning", "reasoning": "I should look.", "signature": "s"}, {"type": "text", "text": ""}],
        "tool_calls": [{"id": "i1", "function": "look", "arguments": {"at": "sign"}, "type": "function"}],
        "model": "m",
    },
    {"role": "tool", "content": "red", "tool_call_id": "i1", "function": "look", "error": None},
    {"role": "assistant", "content": "A stop sign."},
]

CONVERSATIONS = [
    (
        OPENAI,
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is\n[image]"},
            {"role": "assistant", "content": "", "tool_calls": [call("look", {"at": "sign"}, "a1")]},
            {"role": "tool", "content": "a stop sign", "tool_call_id": "a1"},
            {"role": "assistant", "content": "A stop sign."},
        ],
    ),
    (
        ANTHROPIC,
        [
            {"role": "user", "content": "What is it?"},
            {
                "role": "assistant",
                "content": "Let me look.",
                "tool_calls": [call("look", {"at": "sign"}, "t1")],
                "reasoning": "I should look.",
            },
            {"role": "tool", "content": "red\n[image]", "tool_call_id": "t1"},
            {"role": "user", "content": "And now?"},
            {"role": "assistant", "content": "A stop sign."},
        ],
    ),
    (
        INSPECT,
        [
            {"role": "user", "content": "What is it?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [call("look", {"at": "sign"}, "i1")],
                "reasoning": "I should look.",
            },
            {"role": "tool", "content": "red", "tool_call_id": "i1", "name": "look"},
            {"role": "assistant", "content": "A stop sign."},
        ],
    ),
]


@pytest.mark.parametrize(("given_", "expected"), CONVERSATIONS, ids=["openai", "anthropic", "inspect"])
def test_each_form_becomes_the_normal_form(given_: object, expected: object) -> None:
    """Messages of OpenAI's chat format, Anthropic's blocks and Inspect's messages have one form in the end, keys in order."""
    assert json.dumps(normal(given_)) == json.dumps(expected)


@pytest.mark.parametrize(("producer", "role"), ROLES.items())
def test_roles_have_one_name(producer: str, role: str) -> None:
    """Each producer's name of a role becomes one of four."""
    assert normal([{"role": producer, "content": "x"}]) == [{"role": role, "content": "x"}]


ARGUMENTS = [
    ('"arguments":"{\\"a\\": [1E5, -0, 12345678901234567890123]}"', '{"a":[1E5,-0,12345678901234567890123]}'),
    ('"arguments":{"a": 0.10, "\\u00e9\\/": "\\u000b\\u00e9"}', '{"a":0.10,"é/":"\\u000bé"}'),
    ('"arguments":"[1]"', '{"unparsed":"[1]"}'),
    ('"arguments":"{\\"a\\": NaN}"', '{"unparsed":"{\\"a\\": NaN}"}'),
    ('"arguments":"{\\"a\\":1,\\"a\\":2}"', '{"unparsed":"{\\"a\\":1,\\"a\\":2}"}'),
    ('"arguments":""', '{"unparsed":""}'),
    ('"arguments":[1]', '{"unparsed":"[1]"}'),
    ('"arguments":null', "{}"),
    ('"strict":true', "{}"),
]


@pytest.mark.parametrize(("written", "expected"), ARGUMENTS)
def test_arguments_are_an_object(written: str, expected: str) -> None:
    """Arguments given as text are parsed, numbers keep their digits, nothing stays escaped that need not be."""
    text = '[{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f",' + written + "}}]}]"
    messages = normalise(text.encode(), *LIMITS).messages or b""
    called = f'{{"id":"x","type":"function","function":{{"name":"f","arguments":{expected}}}}}'
    assert messages.decode() == f'[{{"role":"assistant","content":"","tool_calls":[{called}]}}]'


#: Parts and messages of which a key is of a type that says nothing, and what is visible of them.
OTHER_TYPES = [
    ([{"type": "text", "text": "r", "refusal": False}], {}, "r"),
    ([{"type": "text", "text": None}], {}, ""),
    ([{"type": "refusal", "refusal": "No."}], {}, "No."),
    ([{"type": "web_search_tool_result", "content": {"error_code": "x"}}], {}, "[web_search_tool_result]"),
    ([{"type": "image", "text": {"a": 1}, "id": {}, "name": 5}], {}, "[image]"),
    ([{"type": "thinking", "thinking": None}, {"type": "text", "text": "r"}], {}, "r"),
    ("r", {"function": {"a": 1}}, "r"),
    ("r", {"name": 5, "tool_call_id": [], "reasoning": {}, "reasoning_content": False}, "r"),
]


@pytest.mark.parametrize(("content", "more", "visible"), OTHER_TYPES)
def test_keys_of_other_types_are_left_out(content: object, more: dict[str, Any], visible: str) -> None:
    """Producers give keys of the same name other types; only what makes up the text of a message must be one."""
    assert normal([{"role": "assistant", "content": content} | more]) == [{"role": "assistant", "content": visible}]


def test_calls_without_id_are_numbered() -> None:
    """A call without id has the number of the calls of the conversation; OpenAI's call of old is one too."""
    messages = [
        {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f"}}, {"function": {"name": "g"}}]},
        {"role": "assistant", "function_call": {"name": "h", "arguments": "{}"}},
        {"role": "function", "name": "h", "content": "done"},
    ]
    assert normal(messages) == [
        {"role": "assistant", "content": "", "tool_calls": [call("f", {}, "x"), call("g", {}, "call_2")]},
        {"role": "assistant", "content": "", "tool_calls": [call("h", {}, "call_3")]},
        {"role": "tool", "content": "done", "name": "h"},
    ]


def test_a_tool_that_the_provider_ran_keeps_its_result() -> None:
    """A part that is a call with its result becomes a call and a message of the tool; what is said after it stays after it."""
    ran = {"type": "tool_use", "id": "w", "name": "search", "arguments": '{"q":"x"}', "result": "found"}
    messages = [{"role": "assistant", "content": [{"type": "text", "text": "First."}, ran, {"type": "text", "text": "Then."}]}]
    assert normal(messages) == [
        {"role": "assistant", "content": "First.", "tool_calls": [call("search", {"q": "x"}, "w")]},
        {"role": "tool", "content": "found", "tool_call_id": "w"},
        {"role": "assistant", "content": "Then."},
    ]


PARTS = [
    ({"type": "input_text", "text": "x"}, "x"),
    ("x", "x"),
    ({"text": "x"}, "x"),
    ({"type": "text", "text": None}, ""),
    ({"type": "refusal", "refusal": "no"}, "no"),
    ({"type": "input_audio", "input_audio": {}}, "[audio]"),
    ({"type": "document", "source": {}}, "[document]"),
    ({}, "[part]"),
]


@pytest.mark.parametrize(("part", "shown"), PARTS)
def test_parts_become_text(part: object, shown: str) -> None:
    """A part shows its text, or its kind in brackets."""
    assert normal([{"role": "user", "content": [part, {"type": "text", "text": "end"}]}]) == [
        {"role": "user", "content": f"{shown}\nend"}
    ]


REFUSED = [
    (b"[nan]", "malformed_json"),
    (b"[Infinity]", "malformed_json"),
    (b"[1,]", "malformed_json"),
    (b'[{"role":"user","content":"\\ud800"}]', "malformed_json"),
    (b'[{"role":"user","role":"user"}]', "duplicate_key"),
    (b"[" * 65 + b"]" * 65, "too_deep"),
    (b"null", "Expected `array`, got `null`"),
    (b'"[]"', "Expected `array`, got `str`"),
    (b"[1]", "Expected `object`, got `int`"),
    (b'[{"content":"secret"}]', "missing required field `role`"),
    (b'[{"role":"secret","content":"x"}]', "the role of message 1 is none of"),
    (b'[{"role":"user","content":{"secret":1}}]', "got `object`"),
    (b'[{"role":"user","content":5}]', "got `int`"),
    (b'[{"role":"user","content":[5]}]', "a part of message 1"),
    (b'[{"role":"user","content":[{"type":"text","text":5}]}]', "the text of a part of message 1 is no text"),
    (b'[{"role":"user","content":[{"type":"tool_result","content":{"secret":1}}]}]', "a part of message 1"),
    (b'[{"role":"assistant","tool_calls":[{"id":"secret"}]}]', "a call in message 1 has no name"),
    (b'[{"role":"assistant","content":[{"type":"tool_use","id":"secret"}]}]', "a call in message 1 has no name"),
]


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_what_is_no_conversation_is_refused(text: bytes, why: str) -> None:
    """The reason says what is wrong and where, and never a text of the evidence."""
    with pytest.raises(NotNormalError) as refused:
        normalise(text, *LIMITS)
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)


U, A, S, T = ({"role": role, "content": role[0]} for role in ("user", "assistant", "system", "tool"))

CUTS = [
    ([S, U, A, T, A, U], [S, U], [A, T, A]),
    ([U, A], [U], [A]),
    ([A, U, A], [A, U], [A]),
    ([S, A, T], [S], [A]),
    ([A], [], [A]),
    ([A, U], [], [A]),
    ([U, U, A, U, A], [U, U], [A, U, A]),
]


@pytest.mark.parametrize(("messages", "prompt", "answer"), CUTS)
def test_prompt_and_answer(messages: object, prompt: object, answer: object) -> None:
    """The prompt ends before the first assistant message after a user message, the answer with the last assistant message."""
    found = normalise(json.dumps(messages).encode(), *LIMITS)
    assert found.messages is not None
    assert found.prompt_end is not None
    assert found.answer_end is not None
    text = found.messages.decode()
    assert json.loads(text[: found.prompt_end] + "]") == prompt
    assert json.loads("[" + text[found.prompt_end : found.answer_end].lstrip(",") + "]") == answer


@pytest.mark.parametrize("messages", [[], [S, U], [U, T]])
def test_where_no_assistant_speaks_all_is_prompt(messages: object) -> None:
    """Such messages are no conversation to learn from."""
    found = normalise(json.dumps(messages).encode(), *LIMITS)
    assert (found.prompt_end, found.answer_end) == (None, None)


TOOLS = [
    (
        [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"a": 1}, "strict": True}}],
        "f",
        "d",
        {"a": 1},
    ),
    ([{"name": "f", "description": "d", "input_schema": {"a": 1}}], "f", "d", {"a": 1}),
    ([{"name": "f", "description": "d", "parameters": {"a": 1}, "options": None}], "f", "d", {"a": 1}),
    ([{"type": "web_search_20250305", "name": "web"}], "web", None, {}),
    ([{"type": "code_interpreter"}], "code_interpreter", None, {}),
    ([{"type": "function", "function": {"name": "f", "parameters": None}}], "f", None, {}),
]


@pytest.mark.parametrize(("tools", "name", "description", "parameters"), TOOLS)
def test_tools(tools: object, name: str, description: str | None, parameters: object) -> None:
    """Definitions of OpenAI, Anthropic and Inspect have one form; a tool of the provider has the name of its type."""
    found = json.loads(normalise_tools(json.dumps(tools).encode(), *LIMITS) or "")
    told = {} if description is None else {"description": description}
    assert found == [{"type": "function", "function": {"name": name, **told, "parameters": parameters}}]


def test_no_tools() -> None:
    """An empty list is as none; what is no list, or has no name, is refused."""
    assert normalise_tools(b" [] ", *LIMITS) is None
    for text in (b"{}", b"[{}]", b'[{"type":"function"}]', b"[1]"):
        with pytest.raises(NotNormalError):
            normalise_tools(text, *LIMITS)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text("abc_", min_size=1, max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, json_values, max_size=3)
parts = st.one_of(
    texts,
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts}),
    st.fixed_dictionaries({"type": st.just("tool_use"), "name": names, "input": objects}, optional={"id": names}),
    st.fixed_dictionaries({"type": st.just("tool_result"), "content": texts, "tool_use_id": names}),
    st.fixed_dictionaries({"type": st.sampled_from(["image", "image_url"])}),
)
calls = st.one_of(
    st.fixed_dictionaries(
        {"function": st.fixed_dictionaries({"name": names, "arguments": objects | objects.map(json.dumps) | texts})}
    ),
    st.fixed_dictionaries({"function": names, "arguments": objects}, optional={"id": names | st.integers(0)}),
)
any_message = st.fixed_dictionaries(
    {"role": st.sampled_from(sorted(ROLES))},
    optional={
        "content": st.none() | texts | st.lists(parts, max_size=4),
        "tool_calls": st.none() | st.lists(calls, max_size=2),
        "tool_call_id": names,
        "name": names | st.none(),
        "reasoning_content": texts | st.none(),
        "metadata": json_values,
    },
)
conversations = st.lists(any_message, max_size=5)


def told(messages: list[dict[str, Any]]) -> tuple[list[str], list[tuple[str, Any]]]:
    """Return all texts of messages of any form, those of results and thoughts too, and all calls, each sorted."""
    said, made = [], []
    for message in messages:
        content = message.get("content") or []
        for part in [content] if isinstance(content, str) else content:
            if isinstance(part, str):
                said.append(part)
            elif part["type"] == "tool_use":
                made.append((part["name"], part["input"]))
            else:
                said += [part[key] for key in ("text", "thinking", "content") if key in part]
        said += [message[key] for key in ("reasoning", "reasoning_content") if message.get(key)]
        for one in message.get("tool_calls") or []:
            function = one["function"]
            name, arguments = (
                (function, one["arguments"]) if isinstance(function, str) else (function["name"], function["arguments"])
            )
            made.append((name, arguments))
    return said, made


def parsed(arguments: Any) -> Any:
    """Return arguments as an object, as the normal form has them."""
    if not isinstance(arguments, str):
        return arguments
    try:
        found = json.loads(arguments, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        found = None
    return found if isinstance(found, dict) else {"unparsed": arguments}


@given(conversations)
def test_no_text_call_or_result_is_lost(messages: list[dict[str, Any]]) -> None:
    """Each text stands in the normal form, each call with its arguments; there are as many calls as before, in their order."""
    said, made = told(messages)
    found_said, found_made = told(normal(messages))
    whole = "\n".join(found_said)
    assert all(text in whole for text in said)
    assert sorted(map(str, found_made)) == sorted(str((name, parsed(arguments))) for name, arguments in made)


@given(conversations)
def test_what_is_normal_stays_as_it_is(messages: list[dict[str, Any]]) -> None:
    """To bring a normal conversation into normal form changes no byte of it."""
    once = normalise(json.dumps(messages).encode(), *LIMITS)
    assert once.messages is not None
    assert normalise(once.messages, *LIMITS) == once
