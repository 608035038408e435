"""Examples as tables: what lies in the warehouse before, and what a view gives then.

A table has a line for its columns and one for each row. Bars separate the cells, and an empty cell is null. A list or a
struct is JSON; any other cell is text that the engine casts to the type of its column.
"""

import re
from hashlib import sha256
from inspect import cleandoc
from typing import Any

import pyarrow as pa
from conftest import insert_records, insert_runs

from etl.base.settings import Settings
from etl.context import source_of
from etl.ingest.directives import directives_of
from etl.ingest.fields import FieldParser
from etl.ingest.judging import Judge
from etl.ingest.mapping import Items, Mapper, mapping_room
from etl.receipts.store import take_in
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql


def given(warehouse: Warehouse, relation: str, table: str) -> None:
    """Insert the rows of a table; what a record, a run or a stage's receipt does not name gets a plausible value."""
    rows = _typed(warehouse, relation, table)
    if relation == "evidence.record":
        insert_records(warehouse, *rows)
        return
    plausible = _plausible(warehouse, relation) if relation in {"receipts.run", "receipts.stage"} else {}
    warehouse.insert(relation, pa.Table.from_pylist([plausible | row for row in rows]))


def given_lines(warehouse: Warehouse, path: str, lines: str) -> None:
    """Let a file of the evidence folder have these lines: each begins with a brace; what is indented continues it."""
    for number, text in enumerate(_split(lines), start=1):
        row = [source_of(path), path, number, sha256(text.encode()).hexdigest(), None, None, text]
        warehouse.execute("insert into raw.item values (?, ?, ?, ?, ?, ?, ?)", row)


def _split(lines: str) -> list[str]:
    return [re.sub(r"\n\s*", " ", line) for line in re.split(r"\n(?=\{)", cleandoc(lines))]


def maps(warehouse: Warehouse, path: str, lines: str, table: str) -> None:
    """Collect a file of the evidence folder with these lines, as ``given_lines`` has them, by the mapping of its source.

    Compare the named columns of its records with a table; of an item that is skipped only its number, and why as ``problem``.
    """
    mapping = Sql.packaged().source(source_of(path))
    contents = [line.encode() for line in _split(lines)]
    directives = directives_of(mapping)
    judged = Judge(FieldParser(directives.fields), False, 64, 1_000_000).judge_lines(contents)
    unit = path if directives.grain == "file" else None
    items = Items(path, unit, [*range(1, len(contents) + 1)], judged.rows, [])
    mapper = Mapper(warehouse, mapping, directives, Settings())
    with mapping_room(warehouse):
        mapper.prepare()
        mapped = mapper.map(mapper.together([items]))
    names = _parsed(table)[0]
    expected = [tuple(row.values()) for row in _typed(warehouse, "raw.mapped", table)]
    skipped = [{"item_number": row["item_number"], "problem": row["reason"]} for row in mapped.skipped.to_pylist()]
    rows = sorted([*mapped.records.to_pylist(), *skipped], key=lambda row: int(row["item_number"]))
    found = [tuple(row.get(str(name)) for name in names) for row in rows]
    assert found == expected, "\n".join([f"{path} gives", *map(str, found), "and not", *map(str, expected)])


def given_document(warehouse: Warehouse, path: str, text: str) -> None:
    """Let a receipt or a summary arrive; ``path`` is the run and the name of its file, joined by a slash."""
    take_in(warehouse, Sql.packaged().kept, {path: cleandoc(text)})


def gives(warehouse: Warehouse, view: str, table: str) -> None:
    """Compare the named columns of all rows of a view with a table, in the view's own order or else in that of the columns.

    Raises AssertionError that shows the rows of both.
    """
    expected = [tuple(row.values()) for row in _typed(warehouse, view, table)]
    order = "" if "\norder by" in Sql.packaged().view(view).body else " order by all"
    found = warehouse.execute(f"select {', '.join(_parsed(table)[0])} from {view}{order}")
    assert found == expected, "\n".join([f"{view} gives", *map(str, found), "and not", *map(str, expected)])


def _parsed(table: str) -> list[list[str | None]]:
    """Return the cells of each line, that of the columns' names first."""
    return [[cell.strip() or None for cell in line.split("|")] for line in cleandoc(table).splitlines()]


def _typed(warehouse: Warehouse, relation: str, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table with values of the types that the columns have in a relation.

    Raises ValueError for a row that has more or fewer cells than there are columns, KeyError for an unknown column.
    """
    names, *rows = _parsed(table)
    types = dict(warehouse.execute(f"select column_name, column_type from (describe {relation})"))
    casts = [f"{_cast(name, types[name])} as {name}" for name in names]
    texts = [dict(zip(names, row, strict=True)) for row in rows]
    with warehouse.lent("cells", pa.Table.from_pylist(texts, pa.schema([(name, pa.string()) for name in names]))):
        return warehouse.dicts(f"select {', '.join(casts)} from cells")


def _cast(cell: str, kind: str) -> str:
    """Return the expression that makes a value of a type from the text of a cell, which is JSON for a list or a struct."""
    is_nested = kind.endswith("[]") or kind.startswith("STRUCT")
    return f"{cell}::json::{kind}" if is_nested else f"{cell}::{kind}"


def _plausible(warehouse: Warehouse, relation: str) -> dict[str, Any]:
    """Return the row of a run that published and had nothing to collect, as ``insert_runs`` makes it."""
    warehouse.execute("begin")
    insert_runs(warehouse, [(0, [])])
    row = warehouse.dicts(f"from {relation} where run_id = 'run-000001'")[0]
    warehouse.execute("rollback")
    return row
