"""Turns errors of the engine into errors for people."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from etl.base.errors import MachineError, StageError

#: Errors of the machine, not of a statement. A commit that fails reports itself as a TransactionException.
OF_THE_MACHINE = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException, duckdb.FatalException)


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
