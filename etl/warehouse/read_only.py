"""The published warehouse, opened for reading: by the product itself, and with a user's own SQL."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from etl.base.errors import NotFoundError, UsageError
from etl.warehouse.connection import Warehouse
from etl.warehouse.errors import sentence_of
from etl.warehouse.template import CLOSED, FORMAT

#: What etl sql may run. DESCRIBE, SHOW and SUMMARIZE are a SELECT to the parser.
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)

_READ_ONLY = CLOSED | {"enable_external_access": "false", "lock_configuration": "true"}


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
        with tempfile.TemporaryDirectory(prefix="etl-", dir=copy_in) as folder:
            try:
                try:
                    connection = _read_only(_copied(file, folder) if copy_in else file, memory)
                except (duckdb.IOException, duckdb.ConnectionException) as error:
                    if "lock" not in str(error) and "different configuration" not in str(error):
                        raise
                    connection = _read_only(_copied(file, folder), memory)
            except duckdb.Error as error:
                raise UsageError(_not_ours(file, error)) from None
            with connection:
                _require_format(connection, file)
                yield cls(connection)

    def query(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a user's statements and return the column names and rows of the last. Raises UsageError where they fail."""
        try:
            for part in self._connection.extract_statements(statement):
                # even a read-only connection lets COPY overwrite the file that it has open
                if part.type not in _READING or (part.type == duckdb.StatementType.EXPLAIN and "analyze" in part.query.lower()):
                    raise UsageError(
                        f"The query failed: {part.type.name} is not allowed, the warehouse is read-only here; "
                        "use SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN."
                    )
            result = self._connection.execute(statement)
            if result is None:  # an empty statement has none, whatever duckdb's types say
                raise UsageError("The query is empty; give one statement that reads.")
            names = _distinct([str(column[0]) for column in result.description or []])
            return names, result.fetchall() if names else []
        except duckdb.Error as error:
            raise UsageError(f"The query failed: {sentence_of(error)}") from error


def _read_only(file: Path, memory: str | None) -> duckdb.DuckDBPyConnection:
    config = _READ_ONLY | ({"memory_limit": memory} if memory else {})
    return duckdb.connect(str(file), read_only=True, config=dict(config))


def _copied(file: Path, folder: str) -> Path:
    return Path(shutil.copyfile(file, Path(folder) / "copy.duckdb"))


def _require_format(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    try:
        rows = connection.execute("select version from policy.warehouse_format").fetchall()
    except duckdb.Error as error:
        raise UsageError(_not_ours(file, error)) from None
    if rows != [(FORMAT,)]:
        raise UsageError(
            f"{file}: its format is {rows[0][0] if rows else 'unknown'}, this version reads {FORMAT}; "
            "move it away and run etl run-all."
        )


def _not_ours(file: Path, error: duckdb.Error) -> str:
    return f"{file}: this is not a warehouse of this version ({sentence_of(error)}); move it away and run etl run-all."


def _distinct(names: Iterable[str]) -> list[str]:
    """Return names of which none stands twice: the second ``n`` is ``n_1``."""
    distinct: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}_{place}" if place else name for place in count())
        distinct[next(new for new in numbered if new not in distinct)] = None
    return list(distinct)
