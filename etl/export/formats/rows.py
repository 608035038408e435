"""Rows of datasets as conversations, and conversations as JSON objects."""

import json
import math
import re
from typing import Any

import msgspec
from msgspec.json import decode, encode

from etl.export.formats.format import Object, Row


class Function(msgspec.Struct, omit_defaults=True):
    """What a call calls. The arguments stand as in the dataset, so that no number changes its digits."""

    name: str
    arguments: msgspec.Raw


class Call(msgspec.Struct):
    """A call of a tool."""

    id: str
    type: str
    function: Function


class Message(msgspec.Struct, omit_defaults=True):
    """A message in the datasets' normal form."""

    role: str
    content: str
    tool_calls: list[Call] | msgspec.UnsetType = msgspec.UNSET
    tool_call_id: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    reasoning: str | msgspec.UnsetType = msgspec.UNSET


def messages_of(text: str) -> list[Message]:
    """Return the messages of JSON text."""
    return decode(text, type=list[Message])


def _messages_or(text: str | None, role: str, otherwise: str | None) -> list[Message]:
    """Return the messages of a column of JSON text; where it is null, one message with another column's text."""
    return [Message(role, otherwise or "")] if text is None else messages_of(text)


def tools_of(row: Row) -> list[Any] | None:
    """Return the definitions of a row's tools, None where it has none; schemas stand as in the dataset."""
    return None if row["tools"] is None else decode(row["tools"], type=list[msgspec.Raw])


def conversation_of(row: Row) -> list[Message]:
    """Return the conversation of a row of sft: that of its record, or its instruction and response."""
    if row["messages"] is None:
        return [Message("user", row["instruction"]), Message("assistant", row["response"])]
    return messages_of(row["messages"])


def sides_of(row: Row) -> tuple[list[Message], list[Message], list[Message]]:
    """Return the prompt, the chosen and the rejected answer of a row of preference."""
    return (
        _messages_or(row["prompt_messages"], "user", row["prompt"]),
        _messages_or(row["chosen_messages"], "assistant", row["chosen"]),
        _messages_or(row["rejected_messages"], "assistant", row["rejected"]),
    )


def calls_tools(messages: list[Message]) -> bool:
    """Return whether a message calls a tool."""
    return any(message.tool_calls for message in messages)


def as_objects(messages: list[Message], arguments_are_text: bool = False) -> list[Object]:
    """Return messages as chat templates take them, or with arguments as JSON text, as in OpenAI's wire format.

    What an assistant thought is ``reasoning_content``, as templates of models that think call it; the wire format has none.
    """
    return [_as_object(message, arguments_are_text) for message in messages]


def _as_object(message: Message, arguments_are_text: bool) -> Object:
    found: Object = {"role": message.role, "content": message.content}
    if message.tool_calls:
        found["tool_calls"] = [
            {
                "id": call.id,
                "type": call.type,
                "function": {
                    "name": call.function.name,
                    "arguments": bytes(call.function.arguments).decode() if arguments_are_text else call.function.arguments,
                },
            }
            for call in message.tool_calls
        ]
    for name in ("tool_call_id", "name"):
        if getattr(message, name) is not msgspec.UNSET:
            found[name] = getattr(message, name)
    if message.reasoning is not msgspec.UNSET and not arguments_are_text:
        found["reasoning_content"] = message.reasoning
    return found


def as_text(value: Any) -> str:
    """Return a value as compact JSON text."""
    return encode(value).decode()


#: Only numbers with so many digits, or with such exponents, can be too large: what has neither need not be parsed.
_LONG_NUMBER = re.compile(rb"\d{18}|[eE]\+?\d{3}")


def has_huge_number(messages: list[Message]) -> bool:
    """Return whether a number in the arguments of a call is an integer of more than 64 bits, or no finite float.

    Readers of JSON in C, as that of ``datasets``, refuse such an integer with all other lines, or read a null.
    """
    texts = (bytes(call.function.arguments) for message in messages if message.tool_calls for call in message.tool_calls)
    return any(_LONG_NUMBER.search(text) and _is_huge(json.loads(text)) for text in texts)


def _is_huge(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_is_huge, value.values()))
    if isinstance(value, list):
        return any(map(_is_huge, value))
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and not -(1 << 63) <= value < 1 << 63
