"""Turns errors of the engine into errors for people."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import duckdb

from etl.base.errors import MachineError, StageError

#: Errors of the machine, not of a statement. A commit that fails reports itself as a TransactionException.
OF_THE_MACHINE = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException, duckdb.FatalException)

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
    """Return the first paragraph of DuckDB's message as one line."""
    return " ".join(str(error).split("\n\n")[0].split())


class SqlFault(NamedTuple):
    """What is wrong with a statement: its kind, such as ``Conversion Error``, and the line and column, from 1, where known.

    ``message`` is the engine's sentence; null where it may hold a value, because the statement failed while it ran.
    """

    kind: str
    message: str | None
    line: int | None
    column: int | None


def fault_of(error: StageError) -> SqlFault:
    """Return what the engine said of a statement that failed, without any value of the data."""
    cause = error.__cause__
    return fault_in(cause if isinstance(cause, duckdb.Error) else duckdb.Error(str(error)))


def fault_in(error: duckdb.Error) -> SqlFault:
    """Return what the engine says of a statement that failed, without any value of the data."""
    kind, _, message = sentence_of(error).partition(": ")
    is_of_the_text = isinstance(error, duckdb.BinderException | duckdb.ParserException | duckdb.CatalogException)
    place = _PLACE.search(str(error))
    # the caret stands below the column; of a long line the engine shows a part, and then the column is not known
    column = place and not place[2].startswith("...") and len(place[3]) - len(place[1]) + 1
    return SqlFault(kind, message if is_of_the_text else None, int(place[1][5:-2]) if place else None, column or None)
