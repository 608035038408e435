"""The template: a database with all tables, macros and views, and no rows; made once for each SQL and engine, then copied.

To bind the views takes a third of a second; a copy of the file takes a fiftieth of that.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from pathlib import Path
from time import time
from typing import TypeVar

import duckdb

from etl.base.errors import SqlError, SqlPlace
from etl.base.files import sha256_of, sync_file
from etl.warehouse.errors import OF_THE_MACHINE, failure_of, fault_in, sentence_of
from etl.warehouse.sql_files import Sql, View, bundle_hash
from etl.warehouse.statements import read_sql

#: The storage version of every warehouse: the oldest engine that opens it.
STORAGE_VERSION = "v1.5.0"

#: Version of the warehouse's own layout (tables and their meaning); another one is refused.
FORMAT = 13

#: What holds for every connection: the engine neither downloads nor loads extensions, and leaves out a step of planning that
#: takes most of the time where views stand upon views, and gains nothing here (docs/engine-notes.md).
ENGINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "disabled_optimizers": "projection_pullup",
}

#: How many templates the cache keeps: each overlay and each version of the program has its own.
KEPT = 16

#: Seconds after which an unfinished template was left behind by a process that was killed.
ABANDONED = 3600

_ASIDE = ".new-"

T = TypeVar("T")


def from_template(sql: Sql, use: Callable[[Path], T]) -> T:
    """Return the result of ``use`` for the template's file, which it must only read; the file is made where it is missing.

    A file that the engine cannot read is made again. Raises SqlError where a file of the sql folder does not work.
    """
    name = f"{_hash(sql)}.duckdb"
    for folder in _folders():
        with suppress(OSError):  # nobody may write to this folder, or it has no room, or something else lies there
            try:
                return use(_found(folder / name) or _made(sql, folder / name))
            except duckdb.Error:
                return use(_made(sql, folder / name))
    raise OSError(f"{_process_folder()}: no template of the warehouse can be written there")


def define(connection: duckdb.DuckDBPyConnection, statement: str, path: str) -> None:
    """Run a statement of the sql folder. Raises SqlError that names the file."""
    try:
        connection.execute(statement)
    except OF_THE_MACHINE as error:
        raise failure_of(error) from error
    except duckdb.Error as error:
        raise SqlError(f"{path}: {sentence_of(error)}") from None


def _found(file: Path) -> Path | None:
    """Return the template if its bytes have the hash in the file beside it, else None."""
    try:
        if _hash_file(file).read_text(encoding="ascii") != sha256_of(file):
            return None
    except (OSError, ValueError):
        return None
    with suppress(OSError):
        os.utime(file)  # when it was last used: the oldest ones are removed
    return file


def _hash_file(file: Path) -> Path:
    return file.with_suffix(".sha256")


def _made(sql: Sql, file: Path) -> Path:
    """Make a template aside and rename it, so that nobody ever opens half of one. Raises OSError, SqlError."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=_ASIDE, dir=file.parent) as folder:
        aside = Path(folder, file.name)
        with duckdb.connect(str(aside), config=ENGINE | {"storage_compatibility_version": STORAGE_VERSION}) as new:
            new.begin()  # hundreds of statements cost more as a transaction each
            _fill(new, sql)
            new.commit()
        sync_file(aside)
        beside = aside.with_suffix(".new")
        beside.write_text(sha256_of(aside), encoding="ascii")
        aside.replace(file)
        beside.replace(_hash_file(file))
    _forget_oldest(file.parent)
    return file


def _forget_oldest(folder: Path) -> None:
    with suppress(OSError):
        files = sorted(folder.glob("*.duckdb"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[KEPT:]:
            file.unlink(missing_ok=True)
            _hash_file(file).unlink(missing_ok=True)
        for left in folder.glob(f"{_ASIDE}*"):  # by a process that was killed
            if left.stat().st_mtime < time() - ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def _hash(sql: Sql) -> str:
    """Return the sha256 hex over what a template is made of: the SQL, this package, and the engine."""
    code = {file.name: file.read_bytes() for file in Path(__file__).parent.iterdir() if file.is_file()}
    return sha256(f"{duckdb.__version__} {sql.sha256} {bundle_hash(code)}".encode()).hexdigest()


def _folders() -> Iterator[Path]:
    """Yield the folders for a template: the user's cache (XDG Base Directory Specification), else one of this process."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with suppress(RuntimeError):  # who has no home has no cache
        yield (base if base.is_absolute() else Path("~/.cache").expanduser()) / "evidence-etl"
    yield _process_folder()


@cache
def _process_folder() -> Path:
    """Return a folder of this process, for where the user's cache cannot be written."""
    folder = Path(tempfile.mkdtemp(prefix="etl-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _fill(new: duckdb.DuckDBPyConnection, sql: Sql) -> None:
    """Define everything, and write down what each view and macro reads."""
    new.execute("create schema raw")
    for name in ("tables", "raw", "macros"):
        define(new, sql[name], f"sql/{name}.sql")
    new.execute("insert into policy.warehouse_format values (?)", [FORMAT])
    selects = (*sql.views, *sql.mappings)
    for view in selects:
        _require_one_select(new, view)
    packaged = [view.qualified for view in selects if Sql.packaged().files.get(view.path) == view.body]
    views = {"names": [view.qualified for view in selects], "bodies": [view.body for view in selects]}
    try:
        new.execute(read_sql(__file__, "dependencies"), views | {"packaged": packaged})
    except duckdb.InvalidInputException as error:  # the engine cannot show the parse tree of one
        raise SqlError(sentence_of(error).removeprefix("Invalid Input Error: ")) from None
    for mapping, reads in new.execute(read_sql(__file__, "impure")).fetchall():
        raise SqlError(f"{sql.view(mapping).path}: a mapping cannot read {reads}; it reads raw.item.")
    _create_views(new, _in_order(new, sql.views))
    _comment_on_columns(new, sql.views)


def _require_one_select(connection: duckdb.DuckDBPyConnection, view: View) -> None:
    try:
        statement = f"create view one_select as\n{view.body}"
        statements = connection.extract_statements(statement)
    except duckdb.Error as error:
        fault = fault_in(error, statement)
        place = SqlPlace(view.path, fault.line and fault.line - 1, fault.column)
        raise SqlError(f"{place}: {sentence_of(error)}", place) from None
    if len(statements) != 1:
        raise SqlError(f"{view.path}: it holds {len(statements)} statements; a view is one SELECT.")


def _in_order(connection: duckdb.DuckDBPyConnection, views: Iterable[View]) -> list[View]:
    """Return the views such that each comes after those that it reads. Raises SqlError where two read each other."""
    by_name = {view.qualified: view for view in views}
    rows = connection.execute("select relation, list(reads) from policy.dependency group by relation").fetchall()
    reads = {relation: by_name.keys() & relations for relation, relations in rows if relation in by_name}
    try:
        return [by_name[name] for name in TopologicalSorter(reads).static_order()]
    except CycleError as error:
        first, *others = error.args[1]
        raise SqlError(f"{by_name[first].path}: it reads itself through {' and '.join(others)}.") from None


def _create_views(connection: duckdb.DuckDBPyConnection, views: Sequence[View]) -> None:
    """Create views, each over empty tables in place of the views that it reads: else the engine binds all of these again."""
    for view in views:
        _create_view(connection, view)
        if not view.is_kept:
            connection.execute(f'alter view {view.qualified} rename to "{view.name} as defined"')
            connection.execute(f'create table {view.qualified} as from {view.schema}."{view.name} as defined" with no data')
    for view in views:
        if not view.is_kept:
            connection.execute(f"drop table {view.qualified}")
            connection.execute(f'alter view {view.schema}."{view.name} as defined" rename to {view.name}')


def _create_view(connection: duckdb.DuckDBPyConnection, view: View) -> None:
    """Create a view from its file, with what the header says of a row as its comment; or a table, where its rows are kept."""
    connection.execute(f"create schema if not exists {view.schema}")
    kind, rows = ("table", "\nwith no data") if view.is_kept else ("view", "")
    define(connection, f"create {kind} {view.qualified} as\n{view.body}{rows}", view.path)
    connection.execute(f"comment on {kind} {view.qualified} is {_quoted(view.comment)}")


def _comment_on_columns(connection: duckdb.DuckDBPyConnection, views: Iterable[View]) -> None:
    """Give the columns of created views their meanings from the headers; a name that no column has is ignored."""
    columns = set(
        connection.execute("select schema_name, table_name, column_name from duckdb_columns() where not internal").fetchall()
    )
    for view in views:
        for column, meaning in view.columns.items():
            if (view.schema, view.name, column) in columns:
                connection.execute(f'comment on column {view.qualified}."{column}" is {_quoted(meaning)}')


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
