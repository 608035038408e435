"""Fields: the typed columns of raw.item, parsed from the bytes of items as a mapping's directives say."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

import msgspec
import pyarrow as pa
from msgspec.json import Decoder

from etl.ingest.directives import Field, FieldType

#: What a value of each type is in Python; an integer is one that BIGINT holds.
_PYTHON: dict[FieldType, Any] = {
    "text": str | None,
    "number": float | None,
    "integer": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None,
    "boolean": bool | None,
    "texts": list[str] | None,
    "json": msgspec.Raw,
}

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
#: Stands in a column for a value of another type, until its fault is told.
_BAD = object()

_RAW = Decoder(msgspec.Raw)
_OBJECT, _ARRAY = Decoder(dict[str, msgspec.Raw]), Decoder(list[msgspec.Raw])
_DECODERS = {kind: Decoder(python) for kind, python in _PYTHON.items()}


class Fault(NamedTuple):
    """What is wrong with a field of an item: ``missing_<name>`` or ``bad_<name>``, and more about it without its text."""

    problem: str
    detail: str | None


class FieldParser:
    """Parses the fields of items, all at once for most items, field by field for those with a fault."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = fields
        self._type = _struct(fields, depth=0)
        self._decoder = Decoder(self._type)
        self._getters = [_getter(field, fields) for field in fields]

    @property
    def schema(self) -> pa.Schema:
        """The columns that ``parse`` gives."""
        return pa.schema([pa.field(field.name, _ARROW[field.type]) for field in self._fields])

    def parse(self, items: Sequence[bytes]) -> tuple[list[pa.Array], dict[int, Fault]]:
        """Return the columns, and the first fault of each item that has one, by its index.

        Each item is one JSON object, which the judge has passed. A field with a fault is null. Among the faults of an item,
        the missing fields come first, then the others, in the order of the fields.
        """
        if not self._fields:
            return [], {}
        parsed, suspects = self._decode(items)
        columns: list[list[Any]] = [list(map(get, parsed)) for get in self._getters]
        for field, column in zip(self._fields, columns, strict=True):
            suspects |= _places(column, _BAD)
            if field.is_required:
                suspects |= _places(column, None)
        faults = {}
        for index in sorted(suspects):
            each = [_judged(field, _resolved(_RAW.decode(items[index]), field.tokens)) for field in self._fields]
            for column, (value, _) in zip(columns, each, strict=True):
                column[index] = value
            found = [fault for _, fault in each if fault]
            if found:
                faults[index] = min(found, key=lambda fault: not fault.problem.startswith("missing_"))
        return [pa.array(column, of.type) for column, of in zip(columns, self.schema, strict=True)], faults

    def _decode(self, items: Sequence[bytes]) -> tuple[list[Any], set[int]]:
        """Return the items as objects, and the indexes of those that do not fit the types."""
        parsed: list[Any] = []
        misfits: set[int] = set()
        for index, item in enumerate(items):
            try:
                parsed.append(self._decoder.decode(item))
            except msgspec.MsgspecError:
                parsed.append(self._type())
                misfits.add(index)
        return parsed, misfits


def _places(column: Sequence[Any], wanted: object) -> set[int]:
    return {index for index, value in enumerate(column) if value is wanted} if wanted in column else set()


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
        elif text.startswith(b"[") and token.isascii() and token.isdigit() and (token[0] != "0" or len(token) == 1):
            elements = _ARRAY.decode(text)
            value = elements[int(token)] if len(token) < 10 and int(token) < len(elements) else _ABSENT
        else:
            return _ABSENT
    return value


def _is_apart(fields: Sequence[Field], depth: int) -> bool:
    """Return whether fields that share a token must be resolved one by one: one ends there, or it is followed by an index."""
    ends = [field for field in fields if len(field.tokens) == depth + 1]
    return (len(fields) > 1 and bool(ends)) or any(token.isdigit() for field in fields for token in field.tokens[depth + 1 :])


def _struct(fields: Sequence[Field], depth: int) -> type[msgspec.Struct]:
    """Return a type of objects that have these fields, those inside of inner objects too."""
    by_token: dict[str, list[Field]] = defaultdict(list)
    for field in fields:
        if len(field.tokens) > depth:
            by_token[field.tokens[depth]].append(field)
    members: list[tuple[str, Any, Any]] = []
    for place, inside in enumerate(by_token.values()):
        if _is_apart(inside, depth):
            members.append((f"at{place}", msgspec.Raw, _ABSENT))
        elif len(inside[0].tokens) == depth + 1:
            kind = _PYTHON[inside[0].type]
            members.append((f"at{place}", kind, _ABSENT if inside[0].type == "json" else None))
        else:
            members.append((f"at{place}", _struct(inside, depth + 1) | None, None))
    names = {f"at{place}": token for place, token in enumerate(by_token)}
    return msgspec.defstruct("Item", members, rename=names, gc=False)


def _getter(field: Field, fields: Sequence[Field]) -> Callable[[Any], Any]:
    """Return what takes a field from an object of the type that ``_struct`` made."""
    path: list[str] = []
    for depth, token in enumerate(field.tokens):
        tokens = list(dict.fromkeys(other.tokens[depth] for other in fields if len(other.tokens) > depth))
        path.append(f"at{tokens.index(token)}")
        fields = [other for other in fields if len(other.tokens) > depth and other.tokens[depth] == token]
        if _is_apart(fields, depth):
            return _apart(field, path, field.tokens[depth + 1 :])
    return _plain(field, path)


def _plain(field: Field, path: Sequence[str]) -> Callable[[Any], Any]:
    get = _by_path(path)
    if field.type != "json":
        return get

    def text(value: Any) -> str | None:
        found = bytes(get(value) or b"")
        return None if found in (b"", b"null") else found.decode()

    return text


def _apart(field: Field, path: Sequence[str], tokens: Sequence[str]) -> Callable[[Any], Any]:
    get = _by_path(path)

    def resolve(value: Any) -> Any:
        found, fault = _judged(field, _resolved(get(value) or _ABSENT, tokens))
        return _BAD if fault and fault.detail else found

    return resolve


def _by_path(path: Sequence[str]) -> Callable[[Any], Any]:
    if len(path) == 1:
        return attrgetter(path[0])

    def follow(value: Any) -> Any:
        for name in path:
            if value is None:
                return None
            value = getattr(value, name)
        return value

    return follow
