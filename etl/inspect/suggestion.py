"""Suggests the fields of a mapping from items of its source."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from etl.ingest.directives import ITEM_COLUMNS, pointer_of

#: Objects in objects are looked into down to this depth; a deeper one is one field of the type json.
_DEPTH = 4
#: An object of more keys is one field of the type json: its keys are data rather than names.
_KEYS = 64

_BIGINT = range(-(2**63), 2**63)
_EMPTY = "nothing"
_KINDS: dict[type, str] = {bool: "boolean", float: "number", str: "text"}


@dataclass(frozen=True, slots=True)
class SuggestedField:
    """A field that items have: a line of ``fields:``, and in how many of the items it is, nulls apart."""

    name: str
    type: str
    pointer: str
    items: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The fields of so many ``items``. ``elements``: what ``items:`` must say, null where nothing is needed.

    ``unnameable``: how many keys no line of ``fields:`` can name, because a line feed or white space at their end is in them.
    """

    items: int
    elements: str | None
    fields: tuple[SuggestedField, ...]
    unnameable: int


def suggest_fields(items: Sequence[bytes], elements: str | None = None) -> Suggestion:
    """Return the fields of items, each a JSON object that the judge passed, in the order in which they come."""
    seen: dict[tuple[str, ...], list[str]] = {}
    for item in items:
        for tokens, kind in _leaves(json.loads(item), ()):
            seen.setdefault(tokens, []).append(kind)
    known = {tokens: [kind for kind in kinds if kind != _EMPTY] for tokens, kinds in seen.items()}
    known = {tokens: kinds for tokens, kinds in known.items() if kinds}
    above = {tokens[:depth] for tokens in known for depth in range(1, len(tokens))}
    # where one item has an object and another a text, the object as a whole is the field
    mixed = above & known.keys()
    names: set[str] = set()
    fields, unnameable = [], 0
    for tokens, kinds in known.items():
        pointer = pointer_of(tokens)
        if mixed & {tokens[:depth] for depth in range(1, len(tokens))}:
            continue
        if not _is_writable(pointer):
            unnameable += 1
            continue
        kind = "json" if tokens in mixed else _type(kinds)
        fields.append(SuggestedField(_name(tokens, names), kind, pointer, len(kinds)))
    return Suggestion(len(items), elements, tuple(fields), unnameable)


def _leaves(value: dict[str, Any], tokens: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the place of each value that could be a field, and its type."""
    for key, inner in value.items():
        place = (*tokens, key)
        if isinstance(inner, dict) and 0 < len(inner) <= _KEYS and len(place) < _DEPTH:
            yield from _leaves(inner, place)
        else:
            yield place, _kind(inner)


def _kind(value: Any) -> str:
    if value is None or value == []:
        return _EMPTY
    if type(value) is int:
        return "integer" if value in _BIGINT else "number"
    if isinstance(value, list) and all(isinstance(element, str) for element in value):
        return "texts"
    return _KINDS.get(type(value), "json")


def _type(kinds: Iterable[str]) -> str:
    found = set(kinds)
    if found == {"integer", "number"}:
        return "number"
    return found.pop() if len(found) == 1 else "json"


def _is_writable(pointer: str) -> bool:
    return len(pointer.splitlines()) == 1 and pointer == pointer.rstrip()


def _name(tokens: Sequence[str], taken: set[str]) -> str:
    """Return a name for a field that no other has: its last token, with those before it where that is taken."""
    spelled = [re.sub("[^a-z0-9]+", "_", token.lower()).strip("_") for token in tokens]
    for start in range(len(spelled) - 1, -1, -1):
        name = "_".join(filter(None, spelled[start:]))
        name = name if re.match("[a-z]", name) else f"field_{name}".rstrip("_")
        if name not in taken and name not in ITEM_COLUMNS:
            break
    number, base = 2, name
    while name in taken or name in ITEM_COLUMNS:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name
