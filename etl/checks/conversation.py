"""The contract of conversations in datasets: JSON text in one normal form, whatever producer it is from."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import polars as pl
from msgspec.json import Decoder, encode
from pandera.polars import PolarsData


class _Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An object with these keys alone, in this order."""


class Function(_Strict):
    """What a call calls; ``arguments`` is an object."""

    name: str
    arguments: dict[str, msgspec.Raw]


class Call(_Strict):
    """A call of a tool."""

    id: str
    type: Literal["function"]
    function: Function


class Message(_Strict):
    """A message: ``content`` is "" where it only calls tools, and never null."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: list[Call] | msgspec.UnsetType = msgspec.UNSET
    tool_call_id: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    reasoning: str | msgspec.UnsetType = msgspec.UNSET


class Definition(_Strict, kw_only=True):
    """What a tool does; ``parameters`` is a JSON Schema."""

    name: str
    description: str | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, msgspec.Raw]


class Tool(_Strict):
    """The definition of a tool."""

    type: Literal["function"]
    function: Definition


_MESSAGES = Decoder(list[Message])
_TOOLS = Decoder(list[Tool])


def are_messages(data: PolarsData) -> pl.LazyFrame:
    """Tell for each text whether it is messages in normal form, in their bytes too."""
    return _each(data, lambda text: _decoded(_MESSAGES, text) is not None)


def are_answers(data: PolarsData) -> pl.LazyFrame:
    """Tell for each text whether it is messages in normal form, of which the last is the assistant's."""
    return _each(data, _is_answer)


def are_tools(data: PolarsData) -> pl.LazyFrame:
    """Tell for each text whether it defines tools in normal form, at least one."""
    return _each(data, lambda text: bool(_decoded(_TOOLS, text)))


def _each(data: PolarsData, is_right: Callable[[str], bool]) -> pl.LazyFrame:
    texts = data.lazyframe.select(data.key).collect().to_series()
    return pl.LazyFrame({data.key: [text is None or is_right(text) for text in texts]})


def _is_answer(text: str) -> bool:
    messages = _decoded(_MESSAGES, text)
    return bool(messages) and messages[-1].role == "assistant"


def _decoded(decoder: Decoder[Any], text: str) -> Any:
    """Return what a text in normal form holds, None where it is not in normal form."""
    try:
        found = decoder.decode(text)
    except msgspec.MsgspecError:
        return None
    return found if encode(found).decode() == text else None
