"""Values of the engine as Python holds them, without changing one: what Python has no time for stays the engine's text."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

from duckdb.sqltypes import DuckDBPyType

_MOMENTS: dict[str, Callable[[str], object]] = {
    "date": date.fromisoformat,
    **dict.fromkeys(("timestamp", "timestamp_s", "timestamp_ms", "timestamp with time zone"), datetime.fromisoformat),
    "timestamp_ns": str,
}


class Reader(NamedTuple):
    """How values of a type are read: the type to which the engine casts them, and what Python makes of one that is not null."""

    cast: str
    convert: Callable[[Any], object] | None


#: How any value is read as the text that the engine has for it.
AS_TEXT = Reader("VARCHAR", None)


def reader_of(kind: DuckDBPyType) -> Reader | None:
    """Return how values of a type are read in which times may stand; None for a type in which none may."""
    if kind.id in _MOMENTS:
        return Reader("VARCHAR", lambda text: _moment(_MOMENTS[kind.id], text))
    if kind.id not in {"list", "array", "struct", "map"}:
        return None
    children = [(name, child, reader_of(child)) for name, child in kind.children if isinstance(child, DuckDBPyType)]
    if not any(reader for *_, reader in children):
        return None
    casts = [reader.cast if reader else str(child) for _, child, reader in children]
    converts = [_nullable(reader) for *_, reader in children]
    match kind.id:
        case "struct":
            fields = ", ".join(f"{_quoted(name)} {cast}" for (name, *_), cast in zip(children, casts, strict=True))
            return Reader(f"STRUCT({fields})", lambda row: _convert_fields(row, converts))
        case "map":
            key, value = converts
            return Reader(f"MAP({casts[0]}, {casts[1]})", lambda row: {key(name): value(each) for name, each in row.items()})
        case _:
            size = dict(kind.children).get("size", "")
            return Reader(f"{casts[0]}[{size}]", lambda row: [converts[0](each) for each in row])


def _convert_fields(row: dict[str, Any], converts: list[Callable[[Any], object]]) -> dict[str, object]:
    return {name: convert(value) for convert, (name, value) in zip(converts, row.items(), strict=True)}


def _nullable(reader: Reader | None) -> Callable[[Any], object]:
    """Return what Python makes of a value, which may be null."""
    convert = reader.convert if reader else None
    if convert is None:
        return lambda value: value
    return lambda value: None if value is None else convert(value)


def _moment(parse: Callable[[str], object], text: str) -> object:
    """Return a time, or the text of one that Python cannot hold, such as infinity."""
    try:
        return parse(text)
    except ValueError:
        return text


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
