"""A user's own SQL, asked of the published warehouse."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from math import isfinite
from typing import Any

from pydantic_core import to_json

from etl.base.errors import UsageError
from etl.base.project import Project
from etl.base.signals import interrupting, run_stoppable, stop_if_told
from etl.warehouse.read_only import PublishedWarehouse, Rows


def query(project: Project, statements: str) -> tuple[list[str], Rows]:
    """Return the column names and the rows of the last statement. A signal stops it.

    Raises UsageError where there is no warehouse of this version, where a statement fails, or where it is not UTF-8.
    """

    def ask() -> tuple[list[str], Rows]:
        with _asked(project, statements) as (names, batches):
            return names, [row for rows in batches for row in rows]

    return run_stoppable(ask)


def stream(project: Project, statements: str, form: str, write: Callable[[str], object]) -> None:
    """Write the rows of the last statement in one of the ``FORMATS``, batch by batch. A signal stops it. Raises UsageError."""
    lines = FORMATS[form]

    def ask() -> None:
        with _asked(project, statements, as_text=form == "csv") as (names, batches):
            write(lines(names, None))
            for rows in batches:
                stop_if_told()
                write(lines(names, rows))

    run_stoppable(ask)


@contextmanager
def _asked(project: Project, statements: str, as_text: bool = False) -> Iterator[tuple[list[str], Iterator[Rows]]]:
    """Give the column names and the rows of the last statement; every value as the engine's text if that is asked for."""
    try:
        statements.encode()
    except UnicodeEncodeError as error:
        byte = ord(statements[error.start]) & 0xFF
        wrong = f"the byte 0x{byte:02x} at character {error.start + 1:,} is not UTF-8"
        raise UsageError(f"The query failed: {wrong}; write the query in UTF-8.") from None
    with PublishedWarehouse.open(project.warehouse) as warehouse, interrupting(warehouse.interrupt):
        yield warehouse.query(statements, as_text)


def _csv(names: Sequence[str], rows: Rows | None) -> str:
    """Return rows, or the header where there are none yet, as RFC 4180 has them; a null is empty."""
    text = io.StringIO()
    csv.writer(text).writerows([names] if rows is None else rows)
    return text.getvalue()


def _jsonl(names: Sequence[str], rows: Rows | None) -> str:
    """Return an object a line for each row."""
    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    lines = (",".join(f"{key}:{_json(value)}" for key, value in zip(keys, row, strict=True)) for row in rows or ())
    return "".join(f"{{{line}}}\n" for line in lines)


def _json(value: Any) -> str:
    """Return a value as JSON text: a number with all its digits; one that JSON has no word for is the engine's text."""
    match value:
        case dict():
            return f"{{{','.join(f'{json.dumps(str(key), ensure_ascii=False)}:{_json(each)}' for key, each in value.items())}}}"
        case list() | tuple():
            return f"[{','.join(map(_json, value))}]"
        case Decimal():
            return f"{value:f}"
        case float() if not isfinite(value):
            return f'"{value}"'
        case _:
            return to_json(as_json_holds(value), fallback=str).decode()


#: What makes text of rows, by the name of the format: of the header (its rows are None), then of each batch.
FORMATS: dict[str, Callable[[Sequence[str], Rows | None], str]] = {"csv": _csv, "jsonl": _jsonl}


def as_json_holds(value: Any) -> Any:
    """Return a value of a row as JSON holds it: bytes become text, and a decimal a number if that number is exact.

    All other values (times, intervals, ids) are left to ``pydantic_core.to_json``, which has one spelling for each.
    """
    match value:
        case dict():
            return {key: as_json_holds(item) for key, item in value.items()}
        case list() | tuple():
            return [as_json_holds(item) for item in value]
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case Decimal() if Decimal(repr(float(value))) == value:
            return float(value)
        case _:
            return value
