"""Directives: what the header of a mapping says of how its source is read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, cast, get_args

from pathspec import GitIgnoreSpec

from etl.base.errors import SqlError
from etl.warehouse.sql_files import View

FieldType = Literal["text", "number", "integer", "boolean", "texts", "json"]
Grain = Literal["item", "file", "folder", "source"]

#: The columns that raw.item has for every source.
ITEM_COLUMNS = ("source", "source_path", "item_number", "item_sha256", "unit", "pointer", "json")

_DIRECTIVE = re.compile(r"^--\s*(fields|reads|items|grain|nan):(.*)$")
_FIELD = re.compile(r"^--\s*([a-z][a-z0-9_]*)\s+([a-z]+)(\s+required)?\s*=\s*(\S.*?)\s*$")
_ESCAPES = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True)
class Field:
    """A typed column of raw.item: the value at a place of the item, given as the tokens of a JSON Pointer (RFC 6901)."""

    name: str
    type: FieldType
    is_required: bool
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Directives:
    """How a source is read.

    ``reads``: which of its files, or None for all that can be read; ``items``: JSON Pointers of the elements of a document,
    in which ``*`` stands for any key or index; ``grain``: what the mapping must see at once, and for ``folder`` the name of
    the file that such a folder holds, or ``*``. ``comment`` is what else the header says.
    """

    fields: tuple[Field, ...] = ()
    reads: GitIgnoreSpec | None = None
    items: tuple[str, ...] = ("",)
    grain: Grain = "item"
    folder: str = ""
    nan_is_null: bool = False
    comment: str = ""


def directives_of(mapping: View) -> Directives:
    """Return what a mapping's header says. Raises SqlError that names the line where a directive does not work."""
    found: dict[str, str] = {}
    fields: list[Field] = []
    prose: list[str] = []
    block = ""
    for number, line in enumerate(takewhile(lambda line: line.startswith("--"), mapping.body.splitlines()), start=1):
        where = f"{mapping.path}:{number}"
        if directive := _DIRECTIVE.match(line):
            block, value = directive[1], directive[2].strip()
            if block in found:
                raise SqlError(f"{where}: {block}: stands twice; keep one of them.")
            found[block] = value
            if block == "fields" and value:
                raise SqlError(f"{where}: fields: names one field a line, in the lines below it.")
        elif block == "fields" and "=" in line:
            fields.append(_field(line, where, fields))
        else:
            block = ""
            prose.append(line.removeprefix("--").strip())
    grain, folder = _grain(found.get("grain", "item"), mapping.path)
    return Directives(
        fields=tuple(fields),
        reads=_reads(found["reads"], mapping.path) if "reads" in found else None,
        items=_items(found.get("items", ""), mapping.path),
        grain=grain,
        folder=folder,
        nan_is_null=_nan(found.get("nan"), mapping.path),
        comment=" ".join(prose),
    )


def _field(line: str, where: str, before: list[Field]) -> Field:
    parts = _FIELD.match(line)
    if not parts:
        raise SqlError(f"{where}: a field is written as: name type = /json/pointer, or: name type required = /json/pointer.")
    name, kind, required, pointer = parts.groups()
    if kind not in get_args(FieldType):
        raise SqlError(f"{where}: {kind} is not a type of a field; use one of {', '.join(get_args(FieldType))}.")
    if name in ITEM_COLUMNS or any(field.name == name for field in before):
        raise SqlError(f"{where}: raw.item has a column {name} already; give the field another name.")
    return Field(name, cast(FieldType, kind), required is not None, tokens_of(pointer, where))


def tokens_of(pointer: str, where: str) -> tuple[str, ...]:
    """Return the tokens of a JSON Pointer, unescaped. Raises SqlError where it is not one."""
    if pointer and (not pointer.startswith("/") or _ESCAPES.search(pointer)):
        raise SqlError(f"{where}: {pointer} is not a JSON Pointer such as /info/task; ~0 stands for ~ in it, and ~1 for /.")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def pointer_of(tokens: Iterable[str]) -> str:
    """Return the JSON Pointer of these tokens."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def _reads(value: str, path: str) -> GitIgnoreSpec:
    if not value:
        raise SqlError(f"{path}: reads: names patterns of files, such as reads: result.json agent/*.json.")
    try:
        # a member of an archive is matched as if the archive were a folder
        return GitIgnoreSpec.from_lines(pattern[:1] + pattern[1:].replace("!", "/") for pattern in value.split())
    except ValueError as error:
        raise SqlError(f"{path}: reads: has a pattern that gitignore does not know: {error}.") from None


def _items(value: str, path: str) -> tuple[str, ...]:
    pointers = tuple(value.split())
    for pointer in pointers:
        tokens_of(pointer, f"{path}: items")
    return pointers or ("",)


def _grain(value: str, path: str) -> tuple[Grain, str]:
    kind, _, folder = value.partition(" ")
    if kind not in get_args(Grain) or (kind == "folder") != bool(folder.strip()):
        raise SqlError(f"{path}: grain: is item, file, folder NAME (a file that the folder holds, or *) or source.")
    return cast(Grain, kind), folder.strip()


def _nan(value: str | None, path: str) -> bool:
    if value not in (None, "null"):
        raise SqlError(f"{path}: nan: can only be null, which reads NaN and Infinity as null.")
    return value is not None
