"""The published warehouse, opened for reading: by the product itself, and with a user's own SQL."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
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
