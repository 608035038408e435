"""What each view and macro reads, as the engine parses it: relations, macros, and columns of policy.setting."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from etl.errors import SqlError
from etl.views import View

SETTING = "policy.setting"

#: Any column of policy.setting may be read.
ANY = "*"

#: A relation of which nothing is known.
UNKNOWN = "unknown"

#: What no statement of the sql folder says: which relations collect fills, and from what; what the manifest of known paths is.
_FILLED = (
    *(("evidence.record", "evidence.incoming"), ("evidence.skipped", "evidence.incoming")),
    ("evidence.file", "evidence.skipped"),
)
_KNOWN_PATHS = ("policy.known_path", SETTING, "known_paths_sha256")

#: Table functions that read nothing but their arguments.
_OF_ARGUMENTS = {"unnest", "range", "generate_series", "json_each", "json_tree", "repeat"}

Row = tuple[str, str | None, str | None]


def dependencies(connection: duckdb.DuckDBPyConnection, views: tuple[View, ...]) -> list[Row]:
    """Return the rows of policy.dependency, sorted: which relation reads which other, and which settings. Raises SqlError."""
    definitions = {view.qualified: view.body for view in views}
    settings = [str(row[0]) for row in connection.execute(f"describe {SETTING}").fetchall()]
    macros = _macros(connection)
    found: set[Row] = {_KNOWN_PATHS, *((relation, reads, None) for relation, reads in _FILLED)}
    for name, text in {**macros, **definitions}.items():
        tree = _parsed(connection, text, name)
        reads = set(_relations(tree)) | (set(_functions(tree)) & macros.keys())
        found |= {(name, relation, None) for relation in reads - {SETTING}}
        if not reads:
            found.add((name, None, None))
        if SETTING in reads:
            named = {ANY} if _may_read_any(tree) else set(_columns(tree)) & set(settings)
            found |= {(name, SETTING, setting) for setting in named or {ANY}}
    found |= {("raw.mapped", view.qualified, None) for view in views if view.schema == "sources"}
    return sorted(found, key=lambda row: tuple(part or "" for part in row))


def readers(rows: Iterable[Row], relations: Iterable[str]) -> set[str]:
    """Return all that reads these relations, directly or by others, by the rows of policy.dependency."""
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


def _macros(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the definitions of macros by their names, each as a SELECT."""
    rows = connection.execute(
        "select schema_name || '.' || function_name, function_type, macro_definition from duckdb_functions() "
        "where not internal and function_type in ('macro', 'table_macro')"
    ).fetchall()
    return {name: definition if kind == "table_macro" else f"select {definition}" for name, kind, definition in rows}


def _parsed(connection: duckdb.DuckDBPyConnection, text: str, name: str) -> Any:
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


def _relations(tree: Any) -> Iterator[str]:
    """Yield the relations that a parse tree reads; a step of its own is none."""
    steps = {entry["key"] for node in _nodes(tree) for entry in node.get("cte_map", {}).get("map", ())}
    for node in _nodes(tree):
        if node.get("type") == "BASE_TABLE" and (node["schema_name"] or node["table_name"] not in steps):
            yield _named(node["schema_name"], node["table_name"])
        elif node.get("type") == "TABLE_FUNCTION" and node["function"]["function_name"] not in _OF_ARGUMENTS:
            yield UNKNOWN


def _named(schema: str, table: str) -> str:
    return View(schema, table, "", "").qualified if schema else UNKNOWN


def _functions(tree: Any) -> Iterator[str]:
    for node in _nodes(tree):
        if node.get("class") == "FUNCTION":
            yield f"{node['schema']}.{node['function_name']}"


def _columns(tree: Any) -> Iterator[str]:
    """Yield every name by which a column is asked for, whatever it is a column of."""
    for node in _nodes(tree):
        if node.get("class") == "COLUMN_REF":
            yield from node["column_names"]


def _may_read_any(tree: Any) -> bool:
    """Tell whether policy.setting is read by a star, or as one value, or where its columns are turned into rows."""
    for node in _nodes(tree):
        aliases = {table["alias"] or table["table_name"] for table in _joined(node.get("from_table"))}
        inner = {key: part for key, part in node.items() if key not in {"from_table", "cte_map"}}
        for part in _nodes(inner) if aliases else ():
            if part.get("class") == "STAR" and part["relation_name"] in {"", *aliases}:
                return True
            if part.get("class") == "COLUMN_REF" and part["column_names"][-1] in aliases:
                return True
    return False


def _joined(table: Any) -> Iterator[dict[str, Any]]:
    """Yield where policy.setting stands in a FROM clause: by itself, in a join or in a pivot, but not in a subquery."""
    if isinstance(table, dict):
        if table.get("type") == "BASE_TABLE" and (table["schema_name"], table["table_name"]) == tuple(
            SETTING.split(".")
        ):
            yield table
        for part in ("left", "right", "source"):
            yield from _joined(table.get(part))
