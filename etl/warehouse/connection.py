"""The warehouse: the only package that knows duckdb.

SQL text comes from the sql folder or is constant here; values are bound; a name that becomes an identifier is the name
of a view, which :mod:`etl.warehouse.sql_files` has held to ``[a-z][a-z0-9_]*``.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

import duckdb
import pyarrow as pa

from etl.base.errors import StageError, UsageError
from etl.base.memory import KEPT_PART, engine_limit, trim_memory
from etl.base.settings import Settings, SourceSetting
from etl.warehouse.errors import naming_errors, sentence_of
from etl.warehouse.sql_files import Sql
from etl.warehouse.statements import read_sql
from etl.warehouse.template import ENGINE, define, from_template

#: Rows of a streamed batch, five of the engine's vectors: enough to be worth a call, few enough to hold several batches.
ROWS_PER_BATCH = 10_240

#: The databases in memory in which rows are fetched, and written files are judged again. No schema of an overlay can have their
#: names.
BATCH, REREAD = '"of-batch"', '"re-read"'


class Warehouse:
    """One open warehouse, in a file or in memory."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        cursors: "list[ref[duckdb.DuckDBPyConnection]] | None" = None,
        name: str = "",
    ) -> None:
        self._connection = connection
        #: The name of its database, quoted for SQL; where it has databases in memory beside it.
        self._name = name
        self._materialised: list[str] = []
        #: All cursors on the warehouse: an interruption is for all. A list, because a thread may append while another reads.
        self._cursors: list[ref[duckdb.DuckDBPyConnection]] = [] if cursors is None else cursors

    @classmethod
    def create(cls, sql: Sql, settings: Settings, file: Path | None = None, is_for_run: bool = True) -> "Warehouse":
        """Create a warehouse in ``file``, or in memory, with its tables, macros and views.

        One that is not for a run takes in receipts alone. Raises SqlError where a file of the sql folder does not work.
        """
        with naming_errors():
            warehouse = cls(from_template(sql, partial(_copied, settings, file)))
        warehouse._prepare(settings, is_for_run)
        return warehouse

    @classmethod
    def take_over(cls, settings: Settings, file: Path) -> "Warehouse":
        """Open a copy of a warehouse that the same SQL made, to work on it."""
        with naming_errors():
            warehouse = cls(_connect(settings, file))
        warehouse._prepare(settings)
        return warehouse

    @classmethod
    def beside(cls, file: Path, settings: Settings) -> "Warehouse":
        """Open a published warehouse read-only, beside databases in memory: there rows are fetched, and judged again."""
        with naming_errors():
            connection = _connect(settings)
            place = str(file).replace("'", "''")
            connection.execute(f"attach '{place}' as published (read_only)")
            for database in ("raw", BATCH, REREAD):
                connection.execute(f"attach ':memory:' as {database}")
            connection.execute("use published")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
        return cls(connection, name="published")

    def _prepare(self, settings: Settings, is_for_run: bool = True) -> None:
        """Attach the relations of a run in memory, fill in the settings, and forbid access to anything outside."""
        self.execute("set timezone = 'UTC'")
        if is_for_run:
            self._attach_in_memory()
        self.execute("set enable_external_access = false")
        self.execute("set lock_configuration = true")
        self.replace("policy.setting", pa.Table.from_pylist([settings.row()]))
        own = pa.schema([(name, pa.string()) for name in SourceSetting._fields])
        rows = [row._asdict() for row in settings.source_settings]
        self.replace("policy.source_setting", pa.Table.from_pylist(rows, own))

    def _attach_in_memory(self) -> None:
        """Attach what holds rows for the time of a run: raw, in place of the schema of this name, and those named above."""
        for database in ("raw", BATCH, REREAD):
            self.execute(f"attach ':memory:' as {database}")
        self._name = f'"{self.one("select current_database()")}"'
        published = f"{self._name}.raw"
        for (table,) in self.execute("select table_name from duckdb_tables() where schema_name = 'raw'"):
            self.execute(f"create table raw.main.{table} as from {published}.{table} with no data")
        self.execute(f"drop schema {published} cascade")

    def cursor(self) -> "Warehouse":
        """Return the same warehouse for another thread."""
        with naming_errors():
            cursor = self._connection.cursor()
        self._cursors.append(ref(cursor))
        return Warehouse(cursor, self._cursors, self._name)

    def apart(self, database: str) -> "tuple[Warehouse, str]":
        """Return a cursor on one of the databases in memory, and the name by which it reads the warehouse's, quoted for SQL.

        In its statements and views a name is the engine's or was defined there; what an overlay defines is not seen.
        """
        cursor = self.cursor()
        cursor.execute(f"use {database}")
        return cursor, self._name

    def materialise(self, view: str) -> None:
        """Compute ``view`` once, unless it was; until ``finish`` its name stands for the rows. The rows have no order."""
        if view in self._materialised:
            return
        schema, name = view.split(".")
        self.execute(f'create table raw.main."{view}" as from {view}')
        # the definition is renamed, not dropped: to create it again would cost as much as to bind it
        self.execute(f'alter view {view} rename to "{name} as defined"')
        self.execute(f'create view {schema}.{name} as from raw.main."{view}"')
        self._materialised.append(view)

    def finish(self, sql: Sql) -> None:
        """Drop the run's rows, put back the definitions of what was materialised, write everything to the file, and close."""
        for view in self._materialised:
            schema, name = view.split(".")
            self.execute(f"drop view {view}")
            self.execute(f'alter view {schema}."{name} as defined" rename to {name}')
        self.execute("detach raw")
        for database in (BATCH, REREAD):
            self.execute(f"detach {database}")
        self.execute("create schema if not exists raw")
        define(self._connection, sql["raw"], "sql/raw.sql")
        self.execute("checkpoint")
        self.close()

    def interrupt(self) -> None:
        """Stop what other threads compute here, if anything: their statements raise StageError."""
        for connection in (self._connection, *(cursor() for cursor in tuple(self._cursors))):
            with suppress(duckdb.Error):
                if connection is not None:
                    connection.interrupt()

    def close(self) -> None:
        """Close it; closing twice is fine."""
        with naming_errors():
            self._connection.close()

    def execute(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement with bound values and return its rows. Raises StageError with DuckDB's message."""
        with naming_errors():
            return self._connection.execute(statement, values or None).fetchall()

    def one(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
        """Return the first column of the only row."""
        return self.execute(statement, values)[0][0]

    def dicts(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """Return the rows as dictionaries by column name."""
        rows = self.execute(statement, values)
        names = [str(column[0]) for column in self._connection.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def arrow(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Return the rows as an Arrow table."""
        with naming_errors():
            return self._connection.sql(statement, params=values or None).to_arrow_table()

    def not_meeting(self, statement: str, condition: str, column: str, asked_by: str) -> list[Any]:
        """Return a column of the rows of a statement that do not meet a condition: for which it is false or null.

        Raises UsageError, which begins with ``asked_by``, where it is not one expression over the columns, fails, or may be
        another one each time.
        """
        try:
            duckdb.SQLExpression(condition)  # which is one expression, so it cannot end the statement around it
            unsteady = self.execute(read_sql(__file__, "unsteady"), {"condition": condition})
            rows = self._connection.execute(f"select {column} from ({statement}) where (\n{condition}\n) is not true")
            found = [value for (value,) in rows.fetchall()]
        except duckdb.Error as error:
            raise UsageError(f"{asked_by} {condition}: this is not a condition over the rows ({sentence_of(error)}).") from None
        if unsteady:
            raise UsageError(f"{asked_by} {condition}: {unsteady[0][0]} may differ each time; name a value instead.")
        return found

    def batches(
        self, relation: str, columns: Sequence[str], where: str | None = None, order: str | None = None
    ) -> pa.RecordBatchReader:
        """Stream ``columns`` of a relation. The lengths of the batches depend on the machine, the rows do not."""
        statement = f"select {', '.join(columns)} from {relation}"
        statement += f" where {where}" if where is not None else ""
        statement += f" order by {order}" if order is not None else ""
        # a cursor of its own: DuckDB refuses another statement while a result of a connection is unread
        try:
            cursor = self._connection.cursor()
            self._cursors.append(ref(cursor))
            return cursor.sql(statement).to_arrow_reader(ROWS_PER_BATCH)
        except duckdb.Error as error:
            raise StageError(f"{relation}: {sentence_of(error)}") from error

    def columns(self, relation: str) -> list[str]:
        """Return the names of the columns of a relation."""
        return [str(row[0]) for row in self.execute(f"describe {relation}")]

    def steps(self, relation: str) -> set[str]:
        """Return the names of the operators in the plan that computes a relation from rows that were lent.

        One that joins to each row what depends on none, such as a setting, is ``ADDING``; what computes that does not count.
        """
        (plan,) = json.loads(self.execute(f"explain (format json) from {relation}")[0][1])
        return _steps(plan)

    def insert(self, table: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Append rows to a table, column by column name."""
        with self.lent("incoming_rows", rows):
            self.execute(f"insert into {table} by name from incoming_rows")

    def replace(self, table: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Replace the rows of a table."""
        self.execute(f"delete from {table}")
        self.insert(table, rows)

    @contextmanager
    def lent(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> Iterator[None]:
        """Let statements in the block read an Arrow table as ``name``; a stream of rows can be read by one statement."""
        with naming_errors():
            self._connection.register(name, rows)
        try:
            yield
        finally:
            with naming_errors():
                self._connection.unregister(name)


def _connect(settings: Settings, file: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection to a file, or to a database in memory, within the limits of these settings."""
    memory = engine_limit(settings.memory_limit)
    config = ENGINE | {
        "memory_limit": f"{memory}B",
        "fsync_mode": "NONE",  # what is built aside is made durable once, when it is whole
    }
    if file:  # what is in memory is mostly receipts, which would touch whole blocks and fill little of them
        config["block_allocator_memory"] = f"{memory // KEPT_PART}B"
    if settings.threads is not None:
        config["threads"] = settings.threads
    spill = file.parent / "spill" if file else Path(tempfile.gettempdir()) / f"etl-spill-{os.getpid()}"
    config["temp_directory"] = str(spill)
    connection = duckdb.connect(str(file) if file else ":memory:", config=config)
    connection.execute("set global timezone = 'UTC'")  # a mapping may cast a time without an offset
    return connection


def _copied(settings: Settings, file: Path | None, template: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection to a copy of the template: ``file``, or a database in memory. Raises duckdb.Error."""
    if file:
        return _connect(settings, Path(shutil.copyfile(template, file)))
    connection = _connect(settings)
    place = str(template).replace("'", "''")
    connection.execute(f"attach '{place}' as template (read_only)")
    connection.execute("copy from database template to memory")
    connection.execute("detach template")
    return connection


#: What a join is called that looks at one row at a time, and may give any number of rows for it.
ADDING = "ADDING"

#: The operator of the engine that scans rows that were lent; its joins of two sides; and the kinds of these that judge each row
#: of one side by itself: of either, of the left, of the right.
_LENT = "PYTHON_ARROW_SCAN"
_JOINS = {"CROSS_PRODUCT", "HASH_JOIN", "NESTED_LOOP_JOIN", "BLOCKWISE_NL_JOIN", "PIECEWISE_MERGE_JOIN", "IE_JOIN"}
_OF_EITHER = {"INNER", None}
_OF_LEFT = _OF_EITHER | {"LEFT", "SEMI", "ANTI", "MARK", "SINGLE"}
_OF_RIGHT = _OF_EITHER | {"RIGHT", "RIGHT_SEMI", "RIGHT_ANTI"}


def _steps(step: dict[str, Any]) -> set[str]:
    """Return the names of an operator and of those below it, but for what does not depend on rows that were lent."""
    name, kind = step["name"].strip(), step.get("extra_info", {}).get("Join Type")
    below = [_reads_lent(child) for child in step["children"]]
    if not any(below):
        return {name}.union(*map(_steps, step["children"]))
    is_row_by_row = name in _JOINS and sum(below) == 1 and kind in (_OF_LEFT if below[0] else _OF_RIGHT)
    found = set[str]().union(*(_steps(child) for child, reads in zip(step["children"], below, strict=True) if reads))
    return found | {ADDING if is_row_by_row else name}


def _reads_lent(step: dict[str, Any]) -> bool:
    return step["name"].strip() == _LENT or any(map(_reads_lent, step["children"]))


def return_freed_memory() -> None:
    """Return the memory that the process and its engine have freed to the machine, after something large that seldom comes."""
    with duckdb.connect() as any_engine:  # a new limit has the allocator that all engines share return what it keeps
        any_engine.execute("set memory_limit = '1GB'")
    trim_memory()


def duckdb_version() -> str:
    """Return the version of the engine."""
    return str(duckdb.__version__)
