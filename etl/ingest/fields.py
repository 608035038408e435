"""Fields: the typed columns of raw.item, parsed from the bytes of items as a mapping's directives say."""

from collections.abc import Iterable, Sequence
from itertools import chain
from types import NoneType
from typing import Annotated, Any, NamedTuple

import msgspec
import pyarrow as pa
from jiter import from_json
from msgspec.json import Decoder

from etl.ingest.directives import Field, FieldType

#: What a value of each type is in Python; an integer is one that BIGINT holds.
_PYTHON: dict[FieldType, Any] = {
    "text": str,
    "number": float,
    "integer": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "boolean": bool,
    "texts": list[str],
    "json": msgspec.Raw,
}

#: The types of values that surely are of a field's type as the judge reads them, or not there; and the bounds of those that are
#: numbers: a float has each integer up to 2^53 exactly, and no infinity.
_PLAIN: dict[FieldType, set[type]] = {
    "text": {NoneType, str},
    "number": {NoneType, int, float},
    "integer": {NoneType, int},
    "boolean": {NoneType, bool},
    "texts": {NoneType, list},
}
_BOUNDS: dict[FieldType, tuple[int, int]] = {"number": (-(2**53), 2**53), "integer": (-(2**63), 2**63 - 1)}

_ARROW: dict[FieldType, pa.DataType] = {
    "text": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "texts": pa.list_(pa.string()),
    "json": pa.string(),
}

_EXPECTED = {
    "text": "a text",
    "number": "a number",
    "integer": "an integer of at most 64 bits",
    "boolean": "true or false",
    "texts": "an array of texts",
}

_ABSENT = msgspec.Raw(b"")

_RAW = Decoder(msgspec.Raw)
_OBJECT, _ARRAY = Decoder(dict[str, msgspec.Raw]), Decoder(list[msgspec.Raw])
_DECODERS = {kind: Decoder(python) for kind, python in _PYTHON.items()}


class Fault(NamedTuple):
    """What is wrong with a field of an item: ``missing_<name>`` or ``bad_<name>``, and more about it without its text."""

    problem: str
    detail: str | None


class FieldParser:
    """Parses the fields of items: all at once where their values are plain, one by one where not."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = fields

    @property
    def schema(self) -> pa.Schema:
        """The columns that ``parse`` gives."""
        return pa.schema([pa.field(field.name, _ARROW[field.type]) for field in self._fields])

    def parse(
        self, items: Sequence[bytes], values: Sequence[dict[str, Any]] | None = None
    ) -> tuple[list[pa.Array], dict[int, Fault]]:
        """Return the columns, and the first fault of each item that has one, by its index.

        Each item is one JSON object, which the judge has passed; ``values`` are these objects, where they are at hand. A field
        with a fault is null. Among the faults of an item, the missing fields come first, then the others, in the order of the
        fields.
        """
        if not self._fields:
            return [], {}
        if values is None:
            values = [from_json(item) for item in items]
        columns = [_found(values, field.tokens) for field in self._fields]
        suspects: set[int] = set()
        for place, field in enumerate(self._fields):
            column = columns[place]
            if field.is_required and None in column:
                suspects |= {index for index, value in enumerate(column) if value is None}
            if field.type == "json":
                columns[place] = [
                    None if value is None else bytes(_resolved(_RAW.decode(item), field.tokens)).decode()
                    for item, value in zip(items, column, strict=True)
                ]
            elif not _are_plain(field.type, column):
                suspects |= {index for index, value in enumerate(column) if not _are_plain(field.type, [value])}
        faults = {}
        for index in sorted(suspects):
            each = [_judged(field, _resolved(_RAW.decode(items[index]), field.tokens)) for field in self._fields]
            for column, (value, _) in zip(columns, each, strict=True):
                column[index] = value
            found = [fault for _, fault in each if fault]
            if found:
                faults[index] = min(found, key=lambda fault: not fault.problem.startswith("missing_"))
        return [pa.array(column, of.type) for column, of in zip(columns, self.schema, strict=True)], faults


def _found(values: Sequence[Any], tokens: Sequence[str]) -> list[Any]:
    """Return of each value, an object, what a JSON Pointer leads to; None where it leads nowhere."""
    found = [value.get(tokens[0]) for value in values]
    for token in tokens[1:]:
        found = [_member(value, token) for value in found]
    return found


def _member(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        return value.get(token)
    if isinstance(value, list) and _is_index(token):
        return value[int(token)] if int(token) < len(value) else None
    return None


def _is_index(token: str) -> bool:
    """Return whether a token is an index as JSON Pointers have it, of no more digits than any array needs."""
    return token.isascii() and token.isdigit() and len(token) < 10 and (token[0] != "0" or len(token) == 1)


def _are_plain(kind: FieldType, values: Sequence[Any]) -> bool:
    """Return whether all values that are there surely are of a type; where not, their own texts say what they are."""
    if not _PLAIN[kind].issuperset(map(type, values)):
        return False
    if kind == "texts":
        return {str}.issuperset(map(type, chain.from_iterable(filter(None, values))))
    if kind in _BOUNDS and (present := [value for value in values if value is not None]):
        low, high = _BOUNDS[kind]
        return bool(low <= min(present) and max(present) <= high)
    return True


def _judged(field: Field, found: msgspec.Raw) -> tuple[Any, Fault | None]:
    text = bytes(found)
    if text in (b"", b"null"):
        return None, Fault(f"missing_{field.name}", None) if field.is_required else None
    try:
        value = _DECODERS[field.type].decode(text)
    except msgspec.MsgspecError:
        detail = f"{_kind(text)} of {len(text)} bytes, where {_EXPECTED[field.type]} was expected"
        return None, Fault(f"bad_{field.name}", detail)
    return text.decode() if field.type == "json" else value, None


def _kind(text: bytes) -> str:
    kinds = {b'"': "a text", b"{": "an object", b"[": "an array", b"t": "true", b"f": "false"}
    return kinds.get(text[:1], "a number")


def _resolved(value: msgspec.Raw, tokens: Iterable[str]) -> msgspec.Raw:
    """Return the value that a JSON Pointer leads to; no bytes where it leads nowhere."""
    for token in tokens:
        text = bytes(value)
        if text.startswith(b"{"):
            value = _OBJECT.decode(text).get(token, _ABSENT)
        elif text.startswith(b"[") and _is_index(token):
            elements = _ARRAY.decode(text)
            value = elements[int(token)] if int(token) < len(elements) else _ABSENT
        else:
            return _ABSENT
    return value
