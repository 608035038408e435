"""Conversations: brings messages and tools, as producers write them, into one normal form.

It reads OpenAI's chat format, Anthropic's blocks and Inspect's messages. No text, call or result is lost. What is normal
already stays as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import Any, Literal, NamedTuple

import msgspec
import pyarrow as pa
from msgspec import Raw
from msgspec.json import Decoder, encode
from msgspec.json import format as reformat

from etl.ingest.formats.strict_json import Refusal, judge_value

#: The roles of the normal form, and the names that producers have for them.
ROLES = {role: role for role in ("system", "user", "assistant", "tool")} | {
    "developer": "system",
    "human": "user",
    "ai": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "function": "tool",
}

_ABSENT = Raw(b"")
_NULL = b"null"
_NO_ARGUMENTS = Raw(b"{}")

#: The bytes of UTF-8 that go on with a character.
_CONTINUING = bytes(range(0x80, 0xC0))

#: A string with an escape: all other bytes of a compact JSON text are in normal form.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


class NotNormalError(Exception):
    """Messages or tools cannot be brought into normal form; the text says why, without a text of the evidence."""


class Conversation(NamedTuple):
    """Messages in normal form, as JSON text in UTF-8.

    ``prompt_end`` is how many characters of it there are up to the end of the last message of the prompt, ``answer_end`` up to
    the end of the last assistant message; None where there is no assistant message, since then all is prompt. 1 is the bracket.
    """

    messages: bytes | None
    prompt_end: int | None
    answer_end: int | None


class Function(msgspec.Struct, gc=False):
    """What a call calls, in normal form; ``arguments`` is the JSON text of an object."""

    name: str
    arguments: Raw


class Call(msgspec.Struct, gc=False):
    """A call of a tool, in normal form."""

    id: str
    type: Literal["function"]
    function: Function


class Message(msgspec.Struct, omit_defaults=True, gc=False):
    """A message in normal form, with its keys in order."""

    role: str
    content: str
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str | None = None


class _Function(msgspec.Struct, gc=False):
    name: str
    arguments: Raw = _ABSENT


class _Call(msgspec.Struct, gc=False):
    """A call as OpenAI has it (``function`` is an object) or Inspect (it is the name)."""

    id: Any = None
    function: _Function | str | None = None
    arguments: Raw = _ABSENT


class _Message(msgspec.Struct, gc=False):
    """A message as any producer has it; ``function`` is the name of Inspect's tool, ``function_call`` OpenAI's call of old.

    What has Any for its type is left out where it is of a type that says nothing here.
    """

    role: str
    content: str | list[Raw] | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    tool_call_id: Any = None
    name: Any = None
    function: Any = None
    reasoning: Any = None
    reasoning_content: Any = None


class _Part(msgspec.Struct, gc=False):
    """A part of a message's content: a text, a thought, a call, a result, or something else, named by its type."""

    type: str = "part"
    text: Any = None
    refusal: Any = None
    thinking: Any = None
    reasoning: Any = None
    id: Any = None
    name: Any = None
    input: Raw = _ABSENT
    arguments: Raw = _ABSENT
    result: Any = None
    tool_use_id: Any = None
    content: Raw = _ABSENT


class _Tool(msgspec.Struct, gc=False):
    """A tool as OpenAI (all in ``function``), Anthropic (``input_schema``) or Inspect (``parameters``) define it."""

    name: str | None = None
    type: str = ""
    description: str | None = None
    parameters: Raw = _ABSENT
    input_schema: Raw = _ABSENT
    function: "_Tool | None" = None


#: What is known of the conversation and the tools of each row, see raw.mapped.
_COLUMNS = {
    "messages": pa.string(),
    "prompt_end": pa.int64(),
    "answer_end": pa.int64(),
    "tools": pa.string(),
    "problem": pa.string(),
    "detail": pa.string(),
}

_MESSAGES, _PART, _TOOLS = Decoder(list[_Message]), Decoder(_Part), Decoder(list[_Tool])
_CONTENT, _TEXT = Decoder(str | list[Raw] | None), Decoder(str)

#: The types of parts that are texts.
_OF_TEXTS = ("text", "input_text", "output_text")


def normalise(text: bytes, max_depth: int, max_values: int, *, is_judged: bool = False) -> Conversation:
    """Return messages in normal form. Raises NotNormalError where they are not JSON, no conversation, or of an unknown role.

    ``max_depth`` and ``max_values`` bound each JSON text, also those within texts: see ``judge_value``. A text that
    ``is_judged`` is known to be within them.
    """
    reader = _Reader(max_depth, max_values)
    if not is_judged:
        _judge(text, max_depth, max_values)
    for given in _decode(_MESSAGES, text):
        reader.read(given)
    messages = reader.messages
    roles = [message.role for message in messages]
    if "assistant" not in roles:
        return Conversation(encode(messages), None, None)
    first, last = _prompt_length(roles), len(roles) - roles[::-1].index("assistant")
    prompt, answer, rest = (encode(part)[1:-1] for part in (messages[:first], messages[first:last], messages[last:]))
    prompt_end = len("[") + _characters(prompt)
    answer_end = prompt_end + len("," if prompt else "") + _characters(answer)
    return Conversation(b"[%s]" % b",".join(filter(None, (prompt, answer, rest))), prompt_end, answer_end)


def _characters(text: bytes) -> int:
    """Return how many characters UTF-8 has: bytes that begin one."""
    return len(text) if text.isascii() else len(text.translate(None, _CONTINUING))


def normalise_tools(text: bytes, max_depth: int, max_values: int) -> bytes | None:
    """Return tool definitions in normal form, None where there are none. Raises NotNormalError."""
    _judge(text, max_depth, max_values)
    tools = [_tool(tool) for tool in _decode(_TOOLS, text)]
    return encode(tools) if tools else None


def no_conversations() -> pa.Table:
    """Return what ``normalise_rows`` does where no row has messages or tools."""
    return pa.schema(_COLUMNS).empty_table()


def normalise_rows(given: pa.Table, judged: Sequence[bool], max_depth: int, max_values: int) -> pa.Table:
    """Return messages and tools of rows in normal form, and how far prompt and answer go; no rows where no row has either.

    ``judged`` says of each row whether its messages are judged already. Where they cannot be normalised, ``problem`` is
    ``bad_messages`` or ``bad_tools``, and ``detail`` says why.
    """
    if given["messages"].null_count == given["tools"].null_count == given.num_rows:
        return no_conversations()
    texts = (column.cast(pa.large_binary()).to_pylist() for column in (given["messages"], given["tools"]))
    columns = zip(*texts, judged, strict=True)
    rows = [_normal_row(messages, tools, is_judged, max_depth, max_values) for messages, tools, is_judged in columns]
    return pa.table([*map(list, zip(*rows, strict=True))], schema=pa.schema(_COLUMNS))


def _normal_row(messages: bytes | None, tools: bytes | None, is_judged: bool, *limits: int) -> tuple[object, ...]:
    if messages is None and tools is None:
        return (None,) * len(_COLUMNS)
    conversation, definitions = Conversation(None, None, None), None
    column = "messages"
    try:
        if messages is not None:
            conversation = normalise(messages, *limits, is_judged=is_judged)
        column = "tools"
        if tools is not None:
            definitions = normalise_tools(tools, *limits)
    except NotNormalError as error:
        text = messages if column == "messages" else tools
        return (None, None, None, None, f"bad_{column}", f"a text of {len(text or b'')} bytes: {error}")
    return (*conversation, definitions, None, None)


def _judge(text: bytes, max_depth: int, max_values: int) -> None:
    """Judge JSON text as strictly as an item. Raises NotNormalError."""
    refusal: Refusal | None = judge_value(text, max_depth, max_values)
    if refusal:
        raise NotNormalError(f"{refusal.reason}: {refusal.detail}")


def _decode(decoder: Decoder[Any], text: bytes) -> Any:
    """Return JSON text as a decoder reads it. Raises NotNormalError."""
    try:
        return decoder.decode(text)
    except msgspec.DecodeError as error:
        raise NotNormalError(str(error)) from None


def _prompt_length(roles: Sequence[str]) -> int:
    """Return how many messages the prompt has: all before the first assistant message after a user message, if there is one."""
    before_user = len([*takewhile(lambda role: role != "user", roles)])
    if "assistant" in roles[before_user:]:
        return roles.index("assistant", before_user)
    return roles.index("assistant")


@dataclass(slots=True)
class _Said:
    """What has been read of a message since the last one was made of it."""

    texts: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.texts or self.calls or any(self.thoughts))


class _Reader:
    """Reads the messages of a conversation, one after the other, into ``messages``."""

    def __init__(self, max_depth: int, max_values: int) -> None:
        self.messages: list[Message] = []
        self._limits = (max_depth, max_values)
        self._calls = 0
        self._place = 0

    def read(self, given: _Message) -> None:
        """Add the messages that a message is: several where it holds results of tools."""
        self._place += 1
        role = ROLES.get(given.role)
        if not role:
            raise NotNormalError(f"the role of message {self._place} is none of {', '.join(ROLES)}")
        calls = [self._call(call) for call in given.tool_calls or ()]
        if given.function_call:
            calls.append(self._new_call(None, given.function_call.name, given.function_call.arguments))
        thought = _text(given.reasoning) or _text(given.reasoning_content)
        named = _text(given.name) or (_text(given.function) if role == "tool" else None)
        answered = _id(given.tool_call_id)
        if not isinstance(given.content, list):
            self.messages.append(Message(role, given.content or "", calls or None, answered, named, thought))
            return
        made = partial(_message, role, answered, named)
        said = _Said(calls=calls, thoughts=[thought or ""])
        has_result = False
        for part in map(self._part, given.content):
            result = self._add(part, said)
            if result:
                self.messages += [made(said), result] if said else [result]
                said, has_result = _Said(), True
        if said or not has_result:
            self.messages.append(made(said))

    def _add(self, part: _Part, said: _Said) -> Message | None:
        """Add a part to what is said; return the message of a tool that it is, or that comes with it."""
        if part.type == "tool_result":
            return Message("tool", self._content(part.content), None, _id(part.tool_use_id))
        if part.type == "tool_use":
            name = _text(part.name)
            if name is None:
                raise NotNormalError(f"a call in message {self._place} has no name")
            said.calls.append(self._new_call(part.id, name, part.input or part.arguments))
            result = _text(part.result)  # of a tool that the provider ran
            return Message("tool", result, None, said.calls[-1].id) if result else None
        thought = _thought(part)
        if thought is None:
            said.texts.append(self._visible(part))
        else:
            said.thoughts.append(thought)
        return None

    def _call(self, call: _Call) -> Call:
        if isinstance(call.function, str):
            return self._new_call(call.id, call.function, call.arguments)
        if call.function is None:
            raise NotNormalError(f"a call in message {self._place} has no name")
        return self._new_call(call.id, call.function.name, call.function.arguments)

    def _new_call(self, given_id: object, name: str, arguments: Raw) -> Call:
        self._calls += 1
        return Call(_id(given_id) or f"call_{self._calls}", "function", Function(name, self._arguments(arguments)))

    def _arguments(self, given: Raw) -> Raw:
        """Return arguments as an object; those given as text are parsed, and what is no object is kept as ``unparsed``."""
        text = bytes(given)
        if text in (b"", _NULL):
            return _NO_ARGUMENTS
        if text.startswith(b"{"):
            return Raw(_compact(text))
        inner = _TEXT.decode(text) if text.startswith(b'"') else text.decode()
        raw = inner.encode()
        if raw.lstrip(b" \t\r\n").startswith(b"{") and not judge_value(raw, *self._limits):
            return Raw(_compact(raw))
        return Raw(encode({"unparsed": inner}))

    def _content(self, given: Raw) -> str:
        """Return the content of a result as one text."""
        content = self._decoded(_CONTENT, given) if given else None
        if not isinstance(content, list):
            return content or ""
        return "\n".join(map(self._visible, map(self._part, content)))

    def _visible(self, part: _Part) -> str:
        """Return what a part shows: its text, or its kind in brackets."""
        for text in (part.text, part.refusal):
            if isinstance(text, str):
                return text
        if part.type not in _OF_TEXTS:
            return f"[{part.type.removeprefix('input_').removesuffix('_url')}]"
        if part.text is not None:
            raise NotNormalError(f"the text of a part of message {self._place} is no text")
        return ""

    def _part(self, given: Raw) -> _Part:
        text = bytes(given)
        if text.startswith(b'"'):
            return _Part("text", _TEXT.decode(text))
        found: _Part = self._decoded(_PART, given)
        return found

    def _decoded(self, decoder: Decoder[Any], given: Raw) -> Any:
        try:
            return decoder.decode(given)
        except msgspec.DecodeError as error:
            raise NotNormalError(f"a part of message {self._place}: {error}") from None


def _message(role: str, answered: str | None, named: str | None, said: _Said) -> Message:
    text = said.texts[0] if len(said.texts) == 1 else "\n".join(said.texts)
    return Message(role, text, said.calls or None, answered, named, "\n".join(filter(None, said.thoughts)) or None)


def _thought(part: _Part) -> str | None:
    """Return the reasoning that a part is; None where it is none."""
    if part.type == "thinking":
        return _text(part.thinking) or ""
    if part.type == "reasoning":
        return _text(part.reasoning) or _text(part.text) or ""
    return "[redacted_thinking]" if part.type == "redacted_thinking" else None


def _text(value: object) -> str | None:
    """Return a value that is a text, and not an empty one."""
    return value if isinstance(value, str) and value else None


def _id(given: object) -> str | None:
    """Return an id as text: a text or an integer."""
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else _text(given)


def _compact(text: bytes) -> bytes:
    """Return JSON text without white space, in which nothing is escaped that need not be; numbers keep their digits."""
    compact = reformat(text, indent=-1)
    # all other escapes are needed, and spelled in one way only
    return _STRING.sub(_unescape, compact) if b"\\u" in compact or b"\\/" in compact else compact


def _unescape(string: re.Match[bytes]) -> bytes:
    return encode(_TEXT.decode(string[0])) if b"\\" in string[0] else string[0]


def _tool(tool: _Tool) -> dict[str, Any]:
    """Return a tool in normal form; one that its provider runs has the name of its type."""
    function = tool.function or tool
    name = function.name or (tool.type if tool.type != "function" else None)
    if not name:
        raise NotNormalError("a tool has no name")
    parameters = next((bytes(given) for given in (function.parameters, function.input_schema) if given), b"{}")
    described = {} if function.description is None else {"description": function.description}
    schema = Raw(_compact(parameters if parameters.startswith(b"{") else b"{}"))
    return {"type": "function", "function": {"name": name, **described, "parameters": schema}}
