"""What each view and macro reads, as the engine parses it: relations, macros, and columns of policy.setting."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from etl.base.errors import SqlError
from etl.warehouse.sql_files import Sql, View

SETTING = "policy.setting"

#: Stands for a relation of which nothing is known: no view defines it, or its rows may differ each time.
UNKNOWN = "unknown"

#: The view whose rows name settings for each dataset, and the view that reads only the rows of each dataset.
ADMISSION, DECISION = "policy.admission", "datasets.decision"

#: What no SQL file says: the relations that collect fills from evidence.incoming, and what decides the known paths.
FILLED = ("evidence.record", "evidence.skipped")
_KNOWN_PATHS = ("policy.known_path", SETTING, "known_paths_sha256")

#: Table functions that read nothing but their arguments.
_OF_ARGUMENTS = {"unnest", "range", "generate_series", "json_each", "json_tree", "repeat"}

#: Functions of a clock that SQL writes without brackets, like columns.
_CLOCKS = {"current_timestamp", "current_date", "current_time", "localtime", "localtimestamp"}

Row = tuple[str, str | None, str | None]


def dependencies(connection: duckdb.DuckDBPyConnection, views: tuple[View, ...]) -> list[Row]:
    """Return the rows of policy.dependency, sorted: which relation reads which other, and which settings. Raises SqlError."""
    settings = {str(row[0]) for row in connection.execute(f"describe {SETTING}").fetchall()}
    macros = _macros(connection)
    known = {name for name, _ in macros}
    changing = _changing_functions(connection)
    found: set[Row] = {_KNOWN_PATHS, *((relation, "evidence.incoming", None) for relation in FILLED)}
    for name, text in [*macros, *((view.qualified, view.body) for view in views)]:
        tree = _parse(connection, text, name)
        found |= _rows(name, _reads(tree, known, changing), _settings_read(tree, settings))
    found |= {("raw.mapped", view.qualified, None) for view in views if view.schema == "sources"}
    found |= _of_all_datasets(found, views)
    return sorted(found, key=lambda row: tuple(part or "" for part in row))


def _rows(name: str, reads: set[str], settings: set[str]) -> set[Row]:
    """Return the rows of one view or macro: one for each relation, or one without where it reads none."""
    relations: set[Row] = {(name, relation, None) for relation in reads - {SETTING}}
    if SETTING in reads:
        return relations | {(name, SETTING, setting) for setting in settings}
    return relations or {(name, None, None)}


def _reads(tree: Any, macros: set[str], changing: set[str]) -> set[str]:
    """Return the relations and macros that a parse tree reads, and UNKNOWN where its rows may differ each time."""
    called = set(_functions(tree))
    reads = set(_relations(tree)) | (called & macros)
    if {function.removeprefix("main.") for function in called} & changing or _CLOCKS & set(_columns(tree)):
        reads.add(UNKNOWN)
    return reads


def _settings_read(tree: Any, settings: set[str]) -> set[str]:
    """Return the settings that a parse tree names; all of them, where it may read any."""
    named = settings & set(_columns(tree))
    return settings if _may_read_any(tree) or not named else named


def _of_all_datasets(found: set[Row], views: Iterable[View]) -> set[Row]:
    """Return rows that give all settings of the admission to views that may ask for any dataset's rows of it.

    Those of the package ask for one dataset's; what others do is not known.
    """
    packaged = {view.qualified for view in views if Sql.packaged().files.get(view.path) == view.body}
    if ADMISSION not in packaged:
        packaged = set()  # what its rows say of settings is not known either
    asking = {relation for relation, reads, _ in found if reads in {ADMISSION, DECISION}} - packaged
    switches = {setting for relation, reads, setting in found if relation == ADMISSION and reads == SETTING}
    return {(relation, SETTING, setting) for relation in asking for setting in switches}


def readers(rows: Iterable[Row], relations: Iterable[str]) -> set[str]:
    """Return all relations that read these, directly or by others, from the rows of policy.dependency."""
    read_by: dict[str | None, set[str]] = {}
    for relation, reads, _ in rows:
        read_by.setdefault(reads, set()).add(relation)
    found: set[str] = set()
    waiting = list(relations)
    while waiting:
        new = read_by.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _macros(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return the names and definitions of macros, each as a SELECT; a macro with several forms appears several times."""
    rows = connection.execute(
        "select lower(schema_name || '.' || function_name), function_type, macro_definition from duckdb_functions() "
        "where not internal and function_type in ('macro', 'table_macro')"
    ).fetchall()
    return [(name, definition if kind == "table_macro" else f"select {definition}") for name, kind, definition in rows]


def _changing_functions(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the names of functions whose value may differ each time: of a clock, of chance, of the session."""
    rows = connection.execute("select function_name from duckdb_functions() where stability <> 'CONSISTENT'").fetchall()
    return {str(name).lower() for (name,) in rows}


def _parse(connection: duckdb.DuckDBPyConnection, text: str, name: str) -> Any:
    rows = connection.execute("select json_serialize_sql(?)", [text]).fetchall()
    tree = json.loads(rows[0][0])
    if tree["error"]:
        raise SqlError(f"{name}: {tree['error_message']}")
    return tree["statements"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a parse tree."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _nodes(part)


def _relations(tree: Any, steps: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the relations that a parse tree reads; the steps of its WITH clause are not relations."""
    if isinstance(tree, dict):
        steps |= {entry["key"].lower() for entry in tree.get("cte_map", {}).get("map", ())}
        if tree.get("type") == "BASE_TABLE" and (tree["schema_name"] or tree["table_name"].lower() not in steps):
            yield _named(tree["catalog_name"], tree["schema_name"], tree["table_name"])
        elif tree.get("type") == "TABLE_FUNCTION" and tree["function"]["function_name"] not in _OF_ARGUMENTS:
            yield UNKNOWN
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _relations(part, steps)


def _named(catalog: str, schema: str, table: str) -> str:
    """Return the name of a relation as policy.dependency has it; SQL ignores case."""
    return UNKNOWN if catalog or not schema else View(schema.lower(), table.lower(), "", "").qualified


def _functions(tree: Any) -> Iterator[str]:
    for node in _nodes(tree):
        if node.get("class") == "FUNCTION":
            yield f"{node['schema'] or 'main'}.{node['function_name']}".lower()


def _columns(tree: Any) -> Iterator[str]:
    """Yield every name in a reference to a column, whatever the column belongs to."""
    for node in _nodes(tree):
        if node.get("class") == "COLUMN_REF":
            yield from (name.lower() for name in node["column_names"])


def _may_read_any(tree: Any) -> bool:
    """Return whether a column of policy.setting may be read otherwise than by its name.

    That is by a star, as one value with the others, by its place, under another name, as what two relations share, or in a
    pivot. Where it is not certain that it is not, it is.
    """
    tables = [node for node in _nodes(tree) if _is_setting(node)]
    names = {(table["alias"] or table["table_name"]).lower() for table in tables}
    whole_rows = [[name] for name in names] + [SETTING.split(".")]
    return any(table["column_name_alias"] for table in tables) or any(
        _shares_or_counts_columns(node) or _takes_all(node, names, whole_rows) for node in _nodes(tree)
    )


def _shares_or_counts_columns(node: dict[str, Any]) -> bool:
    """Return whether a node of a parse tree is a pivot, a column by its place, or a join by what two relations share."""
    kind = str(node.get("type"))
    shares_columns = kind == "JOIN" and (node["using_columns"] or node["ref_type"] == "NATURAL")
    return kind in {"PIVOT", "POSITIONAL_REFERENCE"} or bool(shares_columns)


def _takes_all(node: dict[str, Any], names: set[str], whole_rows: list[list[str]]) -> bool:
    """Return whether a node of a parse tree is a star over policy.setting, or its row as one value."""
    if node.get("class") == "STAR":
        return node["relation_name"].lower() in names
    if node.get("class") == "COLUMN_REF":
        return [name.lower() for name in node["column_names"]] in whole_rows
    return any(map(_is_setting, _joined(node.get("from_table")))) and _has_bare_star(node)


def _is_setting(node: Any) -> bool:
    is_table = isinstance(node, dict) and node.get("type") == "BASE_TABLE"
    return is_table and _named("", node["schema_name"], node["table_name"]) == SETTING


def _has_bare_star(node: dict[str, Any]) -> bool:
    """Return whether a SELECT has a star of its own that names no relation; those of its steps are theirs."""
    own = {key: part for key, part in node.items() if key != "cte_map"}
    return any(part.get("class") == "STAR" and not part["relation_name"] for part in _nodes(own))


def _joined(table: Any) -> Iterator[dict[str, Any]]:
    """Yield the relations of a FROM clause: the only one, or those that it joins."""
    if isinstance(table, dict):
        if table.get("type") != "JOIN":
            yield table
        for part in ("left", "right"):
            yield from _joined(table.get(part))
