"""From items to records: a source's mapping (sql/2_sources) over a portion of its items, and checks of its rows."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.base.errors import MachineError, SqlPlace, StageError
from etl.base.settings import Settings
from etl.base.terminal import short_place
from etl.ingest.conversation import no_conversations, normalise_rows
from etl.ingest.directives import Directives
from etl.ingest.fields import FieldParser
from etl.ingest.judging import Judge
from etl.warehouse.connection import ADDING, Warehouse
from etl.warehouse.errors import fault_of
from etl.warehouse.sql_files import View
from etl.warehouse.statements import read_sql

#: The operators of a plan that gives one row for each item, in their order; and those of one that looks at one item at a time.
_ONE_FOR_ONE = {"PROJECTION", "PYTHON_ARROW_SCAN"}
_ITEM_BY_ITEM = _ONE_FOR_ONE | {"FILTER", "UNNEST", ADDING}

#: The types of the engine that fit into a column of each type as they are.
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_PARTS = "STRUCT(source_path VARCHAR, item_number BIGINT)[]"
_FITS = {
    "VARCHAR": ("VARCHAR",),
    "DOUBLE": (*_INTEGERS, "UBIGINT", "HUGEINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL"),
    "BIGINT": _INTEGERS,
    "VARCHAR[]": ("VARCHAR[]",),
    _PARTS: tuple(_PARTS.replace("BIGINT", integer) for integer in _INTEGERS),
}
#: For each type, the macros that say whether a JSON value is one, and that read it; and what it is called.
_JSON = {"VARCHAR": "text", "DOUBLE": "number", "BIGINT": "integer", "VARCHAR[]": "text_array"}
_EXPECTED = {
    "VARCHAR": "a text",
    "DOUBLE": "a number",
    "BIGINT": "an integer of at most 64 bits",
    "VARCHAR[]": "a list of texts",
    _PARTS: "a list of struct source_path, item_number",
}

#: The columns that are brought into normal form once a mapping has given them.
_CONVERSATION = {"messages", "tools"}

#: What a problem looks like: receipts have it, so it must not be a text of the evidence.
_REASON = "[a-z][a-z0-9_]{0,62}"

#: The key of a record.
_KEY = ["source_path", "item_number", "record_number"]

#: What raw.item is while a source is mapped. The items have columns more, which no mapping sees: no field can have their names.
_ITEM = "create or replace view raw.main.item as select * exclude (_content, _problem, _detail) from items"


class MappingError(Exception):
    """A mapping does not work. Its text says where and why, without a value of the evidence.

    ``place`` is where in its file, as far as that is known; ``item`` the source_path and item_number for which it fails, if any
    is known.
    """

    def __init__(self, text: str, place: SqlPlace, item: tuple[str, int] | None = None) -> None:
        super().__init__(text)
        self.place = place
        self.item = item


@dataclass
class Items:
    """Items of one file, or of one member of an archive, on their way to the mapping; ``rows`` as ``Judged.rows`` has them."""

    source_path: str
    unit: str | None
    numbers: list[int]
    rows: pa.Table
    pointers: list[str]

    def content(self, index: int) -> bytes:
        """Return the bytes of an item."""
        content: bytes | None = self.rows["_content"][index].as_py()
        return self.text(index) if content is None else content

    def text(self, index: int) -> bytes:
        """Return the text of an item that is read in place of its bytes."""
        return bytes(self.rows["json"][index].as_buffer())

    def cut(self, length: int) -> None:
        """Drop the items after so many."""
        self.rows = self.rows.slice(0, length)
        del self.numbers[length:], self.pointers[length:]


@dataclass(frozen=True)
class Mapped:
    """What came of a portion: rows of evidence.record, and rows of evidence.skipped for the items that gave none.

    ``refused`` are the rows of evidence.incoming that have a problem.
    """

    records: pa.Table
    skipped: pa.Table
    refused: pa.Table


@contextmanager
def mapping_room(warehouse: Warehouse) -> Iterator[None]:
    """Let raw.item and raw.mapped be views over the portion that a cursor maps, in place of the tables, for a while."""
    names = ("item", "mapped")
    for name in names:
        warehouse.execute(f"alter table raw.main.{name} rename to {name}_shape")
    warehouse.execute("create table raw.main.source_setting as from policy.source_setting")
    yield
    _show_settings(warehouse, "true")
    warehouse.execute("drop table raw.main.source_setting")
    for (mapping,) in warehouse.execute("select view_name from duckdb_views() where schema_name = 'sources'"):
        warehouse.execute(f'drop view sources."{mapping}"')
    for name in ("given", *names):
        warehouse.execute(f"drop view if exists raw.main.{name}")
    for name in names:
        warehouse.execute(f"alter table raw.main.{name}_shape rename to {name}")


def _show_settings(warehouse: Warehouse, where: str, values: Sequence[str] = ()) -> None:
    """Let policy.source_setting hold these of its rows."""
    warehouse.execute("delete from policy.source_setting")
    warehouse.execute(f"insert into policy.source_setting from raw.main.source_setting where {where}", values)


class Mapper:
    """One source's mapping at work; ``warehouse`` is a cursor for the thread that prepares it.

    What is lent to a cursor is seen by no other, and views read what their reader was lent: so each cursor can map a portion.

    A mapping of the grain ``item`` can map any portion of the items, unless its plan shows that it looks at several of them,
    say with a window: then it needs all items of its source at once (``needs_whole_source``), as one of the grain ``source``.
    """

    def __init__(self, warehouse: Warehouse, mapping: View, directives: Directives, settings: Settings) -> None:
        self._warehouse = warehouse
        self._limits = (settings.max_depth, settings.max_values)
        self._mapping = mapping
        self._directives = directives
        self._given = ""
        self._is_one_for_one, self._has_conversations = False, False
        self.needs_whole_source = directives.grain == "source"

    def prepare(self) -> None:
        """Bind the mapping. Raises MappingError where it does not work for any item."""
        # it sees no setting of another source, so that it need not run again where one of those changes
        _show_settings(self._warehouse, "source = ?", [self._mapping.name])
        with self._warehouse.lent("items", self._no_items()):
            self._run(_ITEM)
            self._run(f"create or replace view {self._mapping.qualified} as\n{self._mapping.body}")
            given = dict(self._run(f"select column_name, column_type from (describe {self._mapping.qualified})"))
            wanted = dict(self._run("select column_name, column_type from (describe raw.main.mapped_shape)"))
            if unknown := sorted(given.keys() - wanted.keys()):
                raise self._error(f"a mapping cannot give {', '.join(unknown)}; rename or remove it")
            steps = self._warehouse.steps(self._mapping.qualified)
        if self._directives.grain == "item" and not steps <= _ITEM_BY_ITEM:
            self.needs_whole_source = True
        self._is_one_for_one = steps <= _ONE_FOR_ONE
        self._has_conversations = not given.keys().isdisjoint(_CONVERSATION)
        key = {"source_path", "item_number"} & given.keys()
        if len(key) == 1 or (not key and not self._is_one_for_one):
            raise self._error("select source_path and item_number too, so that each row names its item")
        self._given = self._select(given, wanted)
        self._make_views(read_sql(__file__, "by_position" if self._is_one_for_one else "by_key"))

    def _make_views(self, mapped: str) -> None:
        """Make the views through which evidence.incoming reads a portion."""
        with self._warehouse.lent("items", self._no_items()):
            rows = self._warehouse.arrow("from raw.main.mapped_shape")
            with self._warehouse.lent("given_rows", rows), self._warehouse.lent("conversations", no_conversations()):
                given = "from given_rows" if self._is_fetched else self._given
                self._warehouse.execute(f"create or replace view raw.main.given as {given}")
                self._warehouse.execute(f"create or replace view raw.main.mapped as {mapped}")

    @property
    def _is_fetched(self) -> bool:
        """Whether the rows that the mapping gives are fetched at first: joins give rows in any order."""
        return self._has_conversations and not self._is_one_for_one

    def _select(self, given: dict[str, str], wanted: dict[str, str]) -> str:
        """Return the statement that gives the columns of the mapping in the types of raw.mapped, and null in all others."""
        home = f'"{self._warehouse.one("select current_database()")}"'
        columns, misfits = [], []
        for name in given.keys() - {"problem", "detail"}:
            value, misfit = _fit(name, given[name], wanted[name], f"{home}.sources")
            columns.append(f"{value} as {name}")
            if misfit:
                misfits.append((name, given[name], misfit, _EXPECTED.get(wanted[name], wanted[name])))
        problem = "problem" if "problem" in given else "null"
        detail = "detail" if "detail" in given else "null"
        if misfits:
            whens = " ".join(f"when {misfit} then 'bad_{name}'" for name, _, misfit, _ in misfits)
            says = " ".join(
                f"when {misfit} then '{kind} of ' || length({name}::varchar) || ' characters, where {expected} was expected'"
                for name, kind, misfit, expected in misfits
            )
            detail = f"case when {problem} is not null then {detail} {says} end"
            problem = f"coalesce({problem}, case {whens} end)"
        text = f"({problem})::varchar"
        problem = f"case when {text} is null or regexp_full_match({text}, '{_REASON}') then {text} else 'bad_problem' end"
        columns += [f"{problem} as problem", f"{detail}::varchar as detail"]
        select = f"select {', '.join(columns)} from {home}.{self._mapping.qualified}"
        return f"from raw.main.mapped_shape union all by name {select}"

    def together(self, portion: Sequence[Items]) -> pa.Table:
        """Return the rows of raw.item of a portion, and more of each item, see ``Judged.rows``."""
        table = pa.concat_tables([self._rows(items) for items in portion])
        # in one piece, so that the engine reads it in its order
        return table.combine_chunks() if self._directives.grain == "item" and not self.needs_whole_source else table

    def _rows(self, items: Items) -> pa.Table:
        length = len(items.numbers)
        judged = dict(zip(items.rows.column_names, items.rows.columns, strict=True))
        place = {
            "source": pa.array([self._mapping.name] * length, pa.string()),  # pa.repeat takes ten times as long
            "source_path": pa.array([items.source_path] * length, pa.string()),
            "item_number": pa.array(items.numbers, pa.int64()),
            "item_sha256": judged.pop("item_sha256"),
            "unit": pa.repeat(pa.scalar(items.unit, pa.string()), length),
            "pointer": pa.array(items.pointers, pa.string()) if items.pointers else pa.nulls(length, pa.string()),
        }
        return pa.table(place | judged)

    def _no_items(self) -> pa.Table:
        no_rows = Judge(FieldParser(self._directives.fields), False, *self._limits).rows([], [], [])
        return self.together([Items("", None, [], no_rows, [])])

    def map(self, items: pa.Table, warehouse: Warehouse | None = None) -> Mapped:
        """Return the records made of items, as ``together`` gives them, and rows of evidence.skipped for those that give none.

        ``warehouse`` is a cursor for the thread that maps; several may do so at once, each with one of its own.

        Raises MappingError that names an item, where the mapping fails.
        """
        try:
            return self._map(items, warehouse or self._warehouse)
        except (MachineError, MappingError):
            raise
        except StageError:
            self._name_item(items, warehouse or self._warehouse)
            raise

    def _map(self, items: pa.Table, warehouse: Warehouse) -> Mapped:
        with warehouse.lent("items", items), self._normalised(warehouse, items):
            # joins give rows in any order; records are inserted in the order of the evidence
            incoming = _in_order(warehouse.arrow("from evidence.incoming"))
            self._require_keys(incoming)
            is_plain = incoming["problem"].null_count == incoming.num_rows == incoming["parts"].null_count
            refused = incoming.filter(pc.is_valid(incoming["problem"]))
            if is_plain and incoming.num_rows == items.num_rows and self._directives.grain == "item":
                skipped = pa.table({})
            else:
                with warehouse.lent("incoming", incoming):
                    self._require_parts(warehouse)
                    skipped = warehouse.arrow(read_sql(__file__, "refused"))
                    incoming = self._accepted(warehouse, incoming)
        return Mapped(incoming.drop_columns(["problem", "detail"]), skipped, refused)

    def _accepted(self, warehouse: Warehouse, incoming: pa.Table) -> pa.Table:
        """Return the rows of the items of which no record has a problem; ``incoming`` is lent."""
        if self._is_one_for_one:
            return incoming.filter(pc.is_null(incoming["problem"]))
        return _in_order(warehouse.arrow(read_sql(__file__, "accepted")))

    @contextmanager
    def _normalised(self, warehouse: Warehouse, items: pa.Table) -> Iterator[None]:
        """Show what the mapping gives, where that must be fetched, and its conversations in normal form beside, row by row."""
        with ExitStack() as lent:
            conversations = no_conversations()
            if self._has_conversations:
                given = warehouse.arrow("select messages, tools from raw.main.given" if self._is_one_for_one else self._given)
                judged = self._handed_on(items, given["messages"]) if self._is_one_for_one else [False] * given.num_rows
                conversations = normalise_rows(given, judged, *self._limits)
                if self._is_fetched:
                    lent.enter_context(warehouse.lent("given_rows", given.combine_chunks()))
            lent.enter_context(warehouse.lent("conversations", conversations))
            yield

    def _handed_on(self, items: pa.Table, values: pa.ChunkedArray) -> list[bool]:
        """Return for each value whether a json field of its item has it: then it was judged with the item."""
        fields = [field.name for field in self._directives.fields if field.type == "json"]
        equal = (pc.fill_null(pc.equal(items[name], values), False) for name in fields)
        handed_on: list[bool] = reduce(pc.or_, equal, pa.repeat(False, len(values))).to_pylist()
        return handed_on

    def _require_keys(self, incoming: pa.Table) -> None:
        """Require that each row is of an item, and that no two have one key."""
        strangers = incoming.filter(pc.is_null(incoming["item_sha256"]))
        if strangers.num_rows:
            raise self._error("the source_path and item_number of a row are not those of its item")
        if not _is_increasing(incoming):
            twice = (
                pl.DataFrame(incoming.select(_KEY))
                .filter(pl.struct(pl.all()).is_duplicated())
                .sort(pl.all())
                .head(1)
                .to_arrow()
            )
            raise self._error(
                f"it gives several rows for {_place(twice)} with the record_number {twice['record_number'][0]}; a mapping "
                "gives one row for an item, or numbers them with record_number"
            )

    def _require_parts(self, warehouse: Warehouse) -> None:
        for path, number in warehouse.execute(read_sql(__file__, "stray_part"), [self._directives.grain]):
            place, grain = short_place(path, number), self._directives.grain
            raise self._error(f"the parts of {place} name what is no item of the same {grain}")

    def _name_item(self, items: pa.Table, warehouse: Warehouse) -> None:
        """Raise MappingError that names the first unit, or item, for which the mapping fails alone, found by halving."""
        while True:
            groups = items["unit"].unique() if self._directives.grain != "item" else items["item_number"]
            if len(groups) < 2 or self.needs_whole_source:
                break
            half = _first_half(items, self._directives.grain)
            items = half if self._fails(half, warehouse) else items.slice(half.num_rows)
        with warehouse.lent("items", items):
            # the mapping itself, not the view, so that the engine says where in its text it failed
            try:
                warehouse.execute(f"create or replace temp table mapping_failed as\n{self._mapping.body}")
            except StageError as error:
                raise self._failure(error, items) from None
            warehouse.execute("drop table mapping_failed")

    def _fails(self, items: pa.Table, warehouse: Warehouse) -> bool:
        try:
            self._map(items, warehouse)
        except MachineError:
            raise
        except (StageError, MappingError):
            return True
        return False

    def _run(self, statement: str) -> list[tuple[Any, ...]]:
        try:
            return self._warehouse.execute(statement)
        except MachineError:
            raise
        except StageError as error:
            raise self._failure(error) from None

    def _failure(self, error: StageError, items: pa.Table | None = None) -> MappingError:
        # the mapping stands below a line of its own in each statement that is made of it
        fault = fault_of(error, f"\n{self._mapping.body}")
        place = SqlPlace(self._mapping.path, fault.line and fault.line - 1, fault.column if fault.line else None)
        what = f"{fault.kind}: {fault.message}" if fault.message else fault.kind
        if items is None or not items.num_rows:
            return MappingError(f"{place}: {what}.", place)
        item = (items["source_path"][0].as_py(), items["item_number"][0].as_py())
        return MappingError(f"{place}: {what} at {_place(items)}.", place, item)

    def _error(self, what: str) -> MappingError:
        return MappingError(f"{self._mapping.path}: {what}.", SqlPlace(self._mapping.path))


def _fit(name: str, given: str, wanted: str, macros: str) -> tuple[str, str | None]:
    """Return the expression of a column in the type that a record has there, and the one that is true where it does not fit."""
    base = "DECIMAL" if given.startswith("DECIMAL(") else given
    is_clock = name == "created_at" and base.startswith(("TIMESTAMP", "DATE"))
    is_conversation = name in _CONVERSATION and given == "JSON"
    if is_conversation:
        return f"nullif({name}::varchar, 'null')", None
    if base in _FITS.get(wanted, ()) or given == '"NULL"' or is_clock:
        return f"{name}::{wanted}", None
    if given == "JSON":
        is_null = f"coalesce({name} = 'null', true)"
        is_one, value = f"{macros}.is_{_JSON[wanted]}({name})", f"{macros}.as_{_JSON[wanted]}({name})"
        return f"case when not {is_null} and {is_one} then {value} end", f"not {is_null} and not {is_one}"
    if wanted == "BIGINT" and base in _FITS["DOUBLE"] and base not in ("FLOAT", "DOUBLE", "DECIMAL"):
        return f"try_cast({name} as bigint)", f"{name} is not null and try_cast({name} as bigint) is null"
    if wanted.endswith("[]") and given.endswith("[]"):  # an empty list has no type of its own
        return f"case when len({name}) = 0 then []::{wanted} end", f"len({name}) > 0"
    return f"null::{wanted}", f"{name} is not null"


def _first_half(items: pa.Table, grain: str) -> pa.Table:
    """Return about half of the items: whole units, where a mapping must see such."""
    middle = items.num_rows // 2
    if grain == "item":
        return items.slice(0, middle)
    units = items["unit"].to_pylist()
    ends = [index for index in range(1, len(units)) if units[index] != units[index - 1]]
    return items.slice(0, min(ends, key=lambda end: abs(end - middle)))


def _in_order(rows: pa.Table) -> pa.Table:
    """Return rows in the order of their keys; mostly they are in it already."""
    return rows if _is_increasing(rows) else rows.sort_by([(name, "ascending") for name in _KEY])


def _is_increasing(rows: pa.Table) -> bool:
    """Return whether the key of each row is greater than that of the row before."""
    is_greater = pa.repeat(False, max(rows.num_rows - 1, 0))
    for name in reversed(_KEY):
        before, after = rows[name].slice(0, len(is_greater)), rows[name].slice(1)
        is_greater = pc.or_(pc.greater(after, before), pc.and_(pc.equal(after, before), is_greater))
    return bool(pc.all(pc.fill_null(is_greater, False), min_count=0).as_py())


def _place(rows: pa.Table) -> str:
    return short_place(str(rows["source_path"][0]), str(rows["item_number"][0]))
