"""Reads a file of TOML, and finds the line of each of its keys."""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from etl.base.errors import UsageError

#: A key with the names of the tables that it stands in.
Key = tuple[str, ...]

#: How tomllib ends its sentences.
_PLACE = re.compile(r" \((?:at line (\d+), column \d+|at end of document)\)$")


class TomlFile(NamedTuple):
    """What a file holds, and the line on which each key, or table, begins."""

    values: dict[str, Any]
    lines: dict[Key, int]


def read_toml(file: Path) -> TomlFile:
    """Read a file; one that is not there holds nothing. A byte order mark is read over.

    Raises UsageError that names the line where it is not TOML, or not UTF-8.
    """
    if not os.path.lexists(file):
        return TomlFile({}, {})
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig")
        values = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{file}: it cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}:{line}: it is not UTF-8; write the file in UTF-8.") from None
    except ValueError as error:
        place = _PLACE.search(str(error))
        line = int(place[1] or text.count("\n") + 1) if place else 1
        what = " ".join(_PLACE.sub("", str(error)).split())
        raise UsageError(f"{file}:{line}: it is not TOML ({what}); mend this line.") from None
    except RecursionError:
        raise UsageError(f"{file}: its values are nested too deeply; a setting is a text, a number or a boolean.") from None
    lines: dict[Key, int] = {}
    for key, line in _lines(text):
        lines.setdefault(key, line)
    return TomlFile(values, lines)


def _lines(text: str) -> Iterator[tuple[Key, int]]:
    """Yield each key of a valid text, some of them several times, with the line on which its statement begins.

    No beginning of a statement is a statement, so that each ends with the first line with which it can be parsed.
    """
    table: Key = ()
    statement, first = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        statement += f"{line}\n"
        try:
            values = tomllib.loads(statement)
        except ValueError:
            continue
        keys = [*_keys(values)]
        is_header = statement.lstrip().startswith("[")
        yield from ((key if is_header else table + key, first) for key in keys)
        if is_header:
            table = keys[-1]
        statement, first = "", number + 1


def _keys(values: Any) -> Iterator[Key]:
    """Yield the key of each value, and after it those of the values in it."""
    for name, value in values.items() if isinstance(values, dict) else ():
        yield (name,)
        yield from ((name, *below) for below in _keys(value))
