"""The warehouse: the only module that knows duckdb.

SQL text comes from the sql folder or is constant here; values are bound; a name that becomes an identifier is the name
of a view, which :mod:`etl.views` has held to ``[a-z][a-z0-9_]*``.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import ref

import duckdb
import pyarrow as pa

from etl.errors import MachineError, NotFoundError, SqlError, StageError, UsageError, WarehouseError
from etl.memory import KEPT_PART, engine_limit
from etl.plain import distinct_names
from etl.settings import Settings
from etl.views import Sql, View

#: Version of the warehouse's own layout (tables and their meaning); another one is refused.
FORMAT = 3

#: Rows of a batch that is streamed, five vectors: enough to be worth the call, few enough to be held several times.
ROWS_PER_BATCH = 10_240

_CLOSED = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
_READ_ONLY = _CLOSED | {"enable_external_access": "false", "lock_configuration": "true"}


class Warehouse:
    """One open warehouse, in a file or in memory."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, cursors: "list[ref[duckdb.DuckDBPyConnection]] | None" = None
    ) -> None:
        self._connection = connection
        self._materialised: list[str] = []
        #: All cursors on the warehouse, whoever opened them: to interrupt one is to interrupt all. A list, because one thread
        #: may add to it while another reads it.
        self._cursors: list[ref[duckdb.DuckDBPyConnection]] = [] if cursors is None else cursors

    @classmethod
    def create(
        cls, sql: Sql, settings: Settings, file: Path | None = None, views: Iterable[View] | None = None
    ) -> "Warehouse":
        """Create a warehouse in ``file`` (or take over the one there), or in memory; with its tables, macros and views.

        All views are created unless some are given; binding them all takes a third of a second.
        Raises SqlError where a file of the sql folder does not work.
        """
        config: dict[str, str | bool | int | float | list[str]] = dict(_CLOSED)
        if settings.threads is not None:
            config["threads"] = settings.threads
        memory = engine_limit(settings.memory_limit)
        config["memory_limit"] = f"{memory}B"
        config["block_allocator_memory"] = f"{memory // KEPT_PART}B"
        spill = file.parent / "spill" if file else Path(tempfile.gettempdir()) / f"etl-spill-{os.getpid()}"
        config["temp_directory"] = str(spill)
        with _named_errors():
            warehouse = cls(duckdb.connect(str(file) if file else ":memory:", config=config))
        warehouse.execute("set timezone = 'UTC'")
        warehouse.execute("drop schema if exists raw cascade")
        warehouse.execute("attach ':memory:' as raw")
        warehouse.execute("set enable_external_access = false")
        warehouse.execute("set lock_configuration = true")
        for name in ("tables", "raw", "macros"):
            warehouse._define(sql[name], f"sql/{name}.sql")
        for view in sql.views if views is None else views:
            warehouse._create_view(view)
        warehouse.replace("policy.warehouse_format", pa.table({"version": pa.array([FORMAT], pa.int32())}))
        warehouse.replace("policy.setting", pa.Table.from_pylist([settings.row()]))
        return warehouse

    @classmethod
    @contextmanager
    def published(cls, file: Path, copy_in: Path | None = None) -> Iterator["Warehouse"]:
        """Open a published warehouse for reading; it can reach no other file.

        Somebody may have it open for writing, as the duckdb shell does unless told otherwise: then a copy is read.
        And nobody can open it for writing while it is read here: with ``copy_in``, a folder of the caller's, a copy is read
        at once, to be in no one's way.
        Raises NotFoundError where there is none, WarehouseError where it is not one of this version.
        """
        if not file.is_file():
            raise NotFoundError(f"{file}: there is no warehouse yet; make one with etl run-all.")
        with tempfile.TemporaryDirectory(prefix="etl-", dir=copy_in) as folder:
            try:
                try:
                    connection = _read_only(_copied(file, folder) if copy_in else file)
                except (duckdb.IOException, duckdb.ConnectionException) as error:
                    if "lock" not in str(error) and "different configuration" not in str(error):
                        raise
                    connection = _read_only(_copied(file, folder))
            except duckdb.Error as error:
                raise WarehouseError(_not_ours(file, error)) from None
            with connection:
                warehouse = cls(connection)
                warehouse._check_format(file)
                yield warehouse

    def cursor(self) -> "Warehouse":
        """Return the same warehouse for another thread."""
        with _named_errors():
            cursor = self._connection.cursor()
        self._cursors.append(ref(cursor))
        return Warehouse(cursor, self._cursors)

    def materialise(self, view: str) -> None:
        """Compute ``view`` once; until ``finish`` its name stands for the result, whose rows have no order."""
        self.execute(f'create or replace table raw.main."{view}" as from {view}')
        self.execute(f'create or replace view {view} as from raw.main."{view}"')
        self._materialised.append(view)

    def finish(self, sql: Sql) -> None:
        """Leave the run's relations behind, empty; put back the definitions of what was materialised; write down, close."""
        self.execute("detach raw")
        self.execute("create schema if not exists raw")
        self._define(sql["raw"], "sql/raw.sql")
        for view in sql.views:
            if view.qualified in self._materialised:
                self._create_view(view)
        self.execute("checkpoint")
        self.close()

    def _create_view(self, view: View) -> None:
        self.execute(f"create schema if not exists {view.schema}")
        statement = f"create or replace view {view.qualified} as\n{view.body}"
        self._require_one_statement(statement, view.path)
        self._define(statement, view.path)
        comment = view.comment.replace("'", "''")
        self.execute(f"comment on view {view.qualified} is '{comment}'")

    def interrupt(self) -> None:
        """Stop what another thread computes here, if anything; it raises StageError."""
        for connection in (self._connection, *(cursor() for cursor in tuple(self._cursors))):
            with suppress(duckdb.Error):
                if connection is not None:
                    connection.interrupt()

    def close(self) -> None:
        """Close it; closing twice is fine."""
        with _named_errors():
            self._connection.close()

    def execute(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement with bound values and return its rows. Raises StageError with DuckDB's word on it."""
        with _named_errors():
            return self._connection.execute(statement, values or None).fetchall()

    def query(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a user's statements and return the column names and rows of the last. Raises UsageError where they fail."""
        try:
            for part in self._connection.extract_statements(statement):
                # A read-only connection still lets COPY overwrite the very file it has open.
                if part.type not in _READING or (
                    part.type == duckdb.StatementType.EXPLAIN and "analyze" in part.query.lower()
                ):
                    raise UsageError(
                        f"The query failed: {part.type.name} is not allowed, the warehouse is read-only here; "
                        "use SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN."
                    )
            result = self._connection.execute(statement)
            if result is None:  # an empty statement has none, whatever duckdb's types say
                raise UsageError("The query is empty; give one statement that reads.")
            names = distinct_names([str(column[0]) for column in result.description or []])
            return names, result.fetchall() if names else []
        except duckdb.Error as error:
            raise UsageError(f"The query failed: {_sentence(error)}") from error

    def one(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
        """Return the first column of the only row."""
        return self.execute(statement, values)[0][0]

    def dicts(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """Return the rows as dictionaries by column name."""
        rows: list[dict[str, Any]] = self.arrow(statement, values).to_pylist()
        return rows

    def arrow(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Return the rows as an Arrow table."""
        with _named_errors():
            return self._connection.sql(statement, params=values or None).to_arrow_table()

    def batches(
        self, relation: str, columns: Sequence[str], where: str | None = None, order: str | None = None
    ) -> pa.RecordBatchReader:
        """Stream ``columns`` of a relation; the lengths of the batches depend on the machine, their rows do not."""
        # A cursor of its own: DuckDB refuses another statement while a result of the connection is unread.
        try:
            cursor = self._connection.cursor()
            self._cursors.append(ref(cursor))
            rows = cursor.table(relation)
            if where is not None:
                rows = rows.filter(where)
            if order is not None:
                rows = rows.order(order)
            return rows.select(*columns).to_arrow_reader(ROWS_PER_BATCH)
        except duckdb.Error as error:
            raise StageError(f"{relation}: {_sentence(error)}") from error

    def columns(self, relation: str) -> list[str]:
        """Return the names of the columns of a relation."""
        return [str(row[0]) for row in self.execute(f"describe {relation}")]

    def steps(self, relation: str) -> set[str]:
        """Return the names of the operators in the plan that computes a relation."""
        plan = json.loads(self.execute(f"explain (format json) from {relation}")[0][1])
        found: set[str] = set()
        while plan:
            found |= {step["name"].strip() for step in plan}
            plan = [child for step in plan for child in step["children"]]
        return found

    def insert(self, table: str, rows: pa.Table) -> None:
        """Append rows to a table, column by column name."""
        with self.lent("incoming_rows", rows):
            self.execute(f"insert into {table} by name from incoming_rows")

    def replace(self, table: str, rows: pa.Table) -> None:
        """Put rows in place of what a table holds."""
        self.execute(f"delete from {table}")
        self.insert(table, rows)

    @contextmanager
    def lent(self, name: str, rows: pa.Table) -> Iterator[None]:
        """Let statements read an Arrow table under ``name`` for a while."""
        with _named_errors():
            self._connection.register(name, rows)
        try:
            yield
        finally:
            with _named_errors():
                self._connection.unregister(name)

    def _define(self, statement: str, path: str) -> None:
        try:
            self._connection.execute(statement)
        except _OF_THE_MACHINE as error:
            raise _failure(error) from error
        except duckdb.Error as error:
            raise SqlError(f"{path}: {_sentence(error)}") from None

    def _require_one_statement(self, statement: str, path: str) -> None:
        try:
            count = len(self._connection.extract_statements(statement))
        except duckdb.Error as error:
            raise SqlError(f"{path}: {_sentence(error)}") from None
        if count != 1:
            raise SqlError(f"{path}: it holds {count} statements; a view is one SELECT.")

    def _check_format(self, file: Path) -> None:
        try:
            rows = self._connection.execute("select version from policy.warehouse_format").fetchall()
        except duckdb.Error as error:
            raise WarehouseError(_not_ours(file, error)) from None
        if rows != [(FORMAT,)]:
            raise WarehouseError(
                f"{file}: its format is {rows[0][0] if rows else 'unknown'}, this version reads {FORMAT}; "
                "move it away and run etl run-all."
            )


#: What etl sql may run. DESCRIBE, SHOW and SUMMARIZE are a SELECT to the parser.
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)

#: Errors of the machine, not of a statement. A commit that fails reports itself as a TransactionException.
_OF_THE_MACHINE = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException, duckdb.FatalException)


@contextmanager
def _named_errors() -> Iterator[None]:
    """Turn an error of DuckDB into one for people."""
    try:
        yield
    except duckdb.Error as error:
        raise _failure(error) from error


def _failure(error: duckdb.Error) -> StageError:
    """Return the error for people: of the machine, or of a statement."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return MachineError(f"There is not enough memory (setting memory_limit): {_sentence(error)}")
    if isinstance(error, _OF_THE_MACHINE):
        return MachineError(f"The warehouse could not be written or read: {_sentence(error)}")
    return StageError(_sentence(error))


def duckdb_version() -> str:
    """Return the version of the engine."""
    return str(duckdb.__version__)


def _read_only(file: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(file), read_only=True, config=dict(_READ_ONLY))


def _copied(file: Path, folder: str) -> Path:
    return Path(shutil.copyfile(file, Path(folder) / "copy.duckdb"))


def _sentence(error: duckdb.Error) -> str:
    """Return the first paragraph of DuckDB's message as one line."""
    return " ".join(str(error).split("\n\n")[0].split())


def _not_ours(file: Path, error: duckdb.Error) -> str:
    return f"{file}: this is no warehouse of this version ({_sentence(error)}); move it away and run etl run-all."
