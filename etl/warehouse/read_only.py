"""The published warehouse, opened for reading: by the product itself, and with a user's own SQL."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from etl.base.errors import NotFoundError, UsageError
from etl.warehouse.connection import ROWS_PER_BATCH, Warehouse
from etl.warehouse.errors import sentence_of
from etl.warehouse.template import ENGINE, FORMAT
from etl.warehouse.values import AS_TEXT, reader_of

#: Rows as the engine's client gives them.
Rows = list[tuple[Any, ...]]

#: What etl sql may run. DESCRIBE, SHOW and SUMMARIZE are a SELECT to the parser.
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)

_READ_ONLY = ENGINE | {"enable_external_access": "false", "lock_configuration": "true"}


class PublishedWarehouse(Warehouse):
    """A published warehouse: statements can neither write nor reach another file."""

    @classmethod
    @contextmanager
    def open(cls, file: Path, copy_in: Path | None = None, memory: str | None = None) -> Iterator["PublishedWarehouse"]:
        """Open a published warehouse.

        Where somebody has it open for writing, as the duckdb shell does by default, a copy is read. With ``copy_in``, a folder
        of the caller's, a copy is read at once, so that others can open it for writing meanwhile. ``memory`` limits its engine.
        Raises NotFoundError where there is none, UsageError where it is not one of this version.
        """
        if not file.is_file():
            raise NotFoundError(f"{file}: there is no warehouse yet; make one with etl run-all.")
        with tempfile.TemporaryDirectory(prefix="etl-", dir=copy_in) as folder, ExitStack() as opened:
            try:
                connection = opened.enter_context(_connect(file, Path(folder), copy_in is not None, memory))
                formats = connection.execute("select version from policy.warehouse_format").fetchall()
            except duckdb.Error as error:
                wrong = f"this is not a warehouse of this version ({sentence_of(error)})"
                raise UsageError(f"{file}: {wrong}; move it away and run etl run-all.") from None
            if formats != [(FORMAT,)]:
                wrong = f"its format is {formats[0][0] if formats else 'unknown'}, this version reads {FORMAT}"
                raise UsageError(f"{file}: {wrong}; move it away and run etl run-all.")
            yield cls(connection)

    def query(self, statement: str, as_text: bool = False) -> tuple[list[str], Iterator[Rows]]:
        """Run a user's statements; return the column names of the last, and its rows, batch by batch while they are computed.

        Each value is what the engine has: a time that Python cannot hold, such as infinity, is its text; ``as_text``: every
        value is. Raises UsageError where a statement fails, also while batches are taken.
        """
        with _naming_faults():
            asked = self._relation(statement)
            readers = [AS_TEXT if as_text else reader_of(kind) for kind in asked.types]
            casts = [f"#{at}::{reader.cast}" if reader else f"#{at}" for at, reader in enumerate(readers, start=1)]
            exact = asked.project(", ".join(casts))
        converts = [reader and reader.convert for reader in readers]
        return _distinct(asked.columns), self._batches(exact, converts)

    def _relation(self, statement: str) -> duckdb.DuckDBPyRelation:
        """Run a user's statements but for the last, and return that one. Raises UsageError where one does not only read."""
        for part in self._connection.extract_statements(statement):
            # even a read-only connection lets COPY overwrite the file that it has open
            if part.type not in _READING or (part.type == duckdb.StatementType.EXPLAIN and "analyze" in part.query.lower()):
                raise UsageError(
                    f"The query failed: {part.type.name} is not allowed, the warehouse is read-only here; "
                    "use SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN."
                )
        relation = self._connection.sql(_without_end(statement))
        if relation is None:  # an empty statement has none, whatever duckdb's types say
            raise UsageError("The query is empty; give one statement that reads.")
        return relation

    def _batches(self, relation: duckdb.DuckDBPyRelation, converts: Sequence[Callable[[Any], object] | None]) -> Iterator[Rows]:
        """Yield the rows of a relation in batches, of each column what ``convert`` makes of a value that is not null."""
        changed = [(at, convert) for at, convert in enumerate(converts) if convert]
        with _naming_faults():
            result = self._connection.execute(relation.sql_query())
            while rows := result.fetchmany(ROWS_PER_BATCH):
                yield [_converted(row, changed) for row in rows] if changed else rows


def _converted(row: Sequence[Any], changed: Iterable[tuple[int, Callable[[Any], object]]]) -> tuple[Any, ...]:
    values = [*row]
    for at, convert in changed:
        if values[at] is not None:
            values[at] = convert(values[at])
    return tuple(values)


@contextmanager
def _naming_faults() -> Iterator[None]:
    """Turn an error of DuckDB into a sentence about the query."""
    try:
        yield
    except duckdb.Error as error:
        raise UsageError(f"The query failed: {sentence_of(error)}") from error


def _without_end(statement: str) -> str:
    """Return statements without semicolons and comments behind the last, for the engine to read it as a subquery."""
    text = statement.encode()
    for start, kind in reversed(duckdb.tokenize(statement)):
        if kind != duckdb.token_type.comment and text[start:].lstrip()[:1] != b";":
            break
        text = text[:start]
    return text.decode()


def _connect(file: Path, folder: Path, copies: bool, memory: str | None) -> duckdb.DuckDBPyConnection:
    """Connect to a warehouse; to a copy in a folder if that is wanted, or if somebody has the warehouse open for writing."""
    config = _READ_ONLY | ({"memory_limit": memory} if memory else {})
    if not copies:
        try:
            return duckdb.connect(str(file), read_only=True, config=config)
        except (duckdb.IOException, duckdb.ConnectionException) as error:
            if "lock" not in str(error) and "different configuration" not in str(error):
                raise
    return duckdb.connect(str(shutil.copyfile(file, folder / "copy.duckdb")), read_only=True, config=config)


def _distinct(names: Iterable[str]) -> list[str]:
    """Return names of which none stands twice: the second ``n`` is ``n_1``."""
    distinct: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}_{place}" if place else name for place in count())
        distinct[next(new for new in numbered if new not in distinct)] = None
    return list(distinct)
