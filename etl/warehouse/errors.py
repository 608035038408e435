"""Turns errors of the engine into errors for people."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import duckdb

from etl.base.errors import MachineError, StageError
from etl.base.terminal import short

#: Errors of the machine, not of a statement. A commit that fails reports itself as a TransactionException.
OF_THE_MACHINE = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException, duckdb.FatalException)

#: Errors of a statement's text, whatever the data: they repeat names of it, and no value.
OF_THE_TEXT = (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException)

#: The line of a statement that an error shows, and the caret below it.
_PLACE = re.compile(r"^(LINE [0-9]+: )(.*)\n( *)\^", re.MULTILINE)


@contextmanager
def naming_errors() -> Iterator[None]:
    """Turn an error of DuckDB into one for people."""
    try:
        yield
    except duckdb.Error as error:
        raise failure_of(error) from error


def failure_of(error: duckdb.Error) -> StageError:
    """Return the error for people: of the machine, or of a statement."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return MachineError(f"There is not enough memory (setting memory_limit): {sentence_of(error)}")
    if isinstance(error, OF_THE_MACHINE):
        return MachineError(f"The warehouse could not be written or read: {sentence_of(error)}")
    return StageError(sentence_of(error))


def sentence_of(error: duckdb.Error) -> str:
    """Return the first paragraph of DuckDB's message as one line; cut, where it may repeat a value of the data."""
    sentence = " ".join(str(error).split("\n\n")[0].split())
    return sentence if isinstance(error, OF_THE_MACHINE + OF_THE_TEXT) else short(sentence)


class SqlFault(NamedTuple):
    """What is wrong with a statement: its kind, such as ``Conversion Error``, and the line and column, from 1, where known.

    ``message`` is the engine's sentence; null where it may hold a value, because the statement failed while it ran.
    """

    kind: str
    message: str | None
    line: int | None
    column: int | None


def fault_of(error: StageError, statement: str) -> SqlFault:
    """Return what the engine said of a statement that failed, without any value of the data."""
    cause = error.__cause__
    return fault_in(cause if isinstance(cause, duckdb.Error) else duckdb.Error(str(error)), statement)


def fault_in(error: duckdb.Error, statement: str) -> SqlFault:
    """Return what the engine says of a statement that failed, without any value of the data."""
    kind, _, message = sentence_of(error).partition(": ")
    is_of_the_text = isinstance(error, OF_THE_TEXT)
    place = _PLACE.search(str(error))
    line = int(place[1][5:-2]) if place else None
    column = _column(place, statement.split("\n")[line - 1 : line]) if place and line else None
    return SqlFault(kind, message if is_of_the_text else None, line, column)


def _column(place: re.Match[str], lines: list[str]) -> int | None:
    """Return the column below which the caret stands; of a long line the engine shows a part, which is looked up there."""
    shown, at = place[2], len(place[3]) - len(place[1])
    if not shown.startswith("..."):
        return at + 1
    part = shown.removeprefix("...").removesuffix("...")
    start = lines[0].find(part) if lines else -1
    return start + at - len("...") + 1 if start >= 0 else None
