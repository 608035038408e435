"""From lines to records: a source's mapping (sql/2_sources) over a portion of its lines, and checks of its rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.base.errors import MachineError, SqlError, StageError
from etl.context import Run
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import View
from etl.warehouse.statements import read_sql

#: The operators of a plan that gives one row for each row it reads, in their order.
_ROW_BY_ROW = {"PROJECTION", "SEQ_SCAN"}


@contextmanager
def mapping_room(warehouse: Warehouse) -> Iterator[None]:
    """Let raw.item and raw.mapped be views over the portion that a mapper works on, in place of the tables, for a while."""
    for name in ("item", "mapped"):
        warehouse.execute(f"alter table raw.main.{name} rename to {name}_shape")
    yield
    for name in ("item", "mapped"):
        warehouse.execute(f"drop view if exists raw.main.{name}")
        warehouse.execute(f"alter table raw.main.{name}_shape rename to {name}")


@dataclass(frozen=True)
class Mapper:
    """One source's mapping at work; ``warehouse`` is a cursor for the thread that maps.

    ``mapped`` is what raw.mapped is meanwhile: the columns that the mapping names, in their types, and null in all others.

    A mapping that goes row by row (``is_row_wise``) can map any portion of the lines on its own; another one, say with a
    window over the lines, needs all lines of its source at once.
    """

    warehouse: Warehouse
    mapping: View
    is_row_wise: bool
    names_its_lines: bool
    mapped: str

    @classmethod
    def of(cls, run: Run, warehouse: Warehouse, source: str) -> "Mapper":
        """Return the mapper of a source. Raises SqlError where its mapping gives a column that a record does not have."""
        mapping = run.sql.source(source)
        columns = set(warehouse.columns(mapping.qualified))
        types = dict(warehouse.execute("select column_name, column_type from (describe raw.mapped)"))
        unknown = sorted(columns - types.keys())
        if unknown:
            raise SqlError(f"{mapping.path}: a mapping cannot give {', '.join(unknown)}; rename or remove it.")
        is_row_wise = warehouse.steps(mapping.qualified) <= _ROW_BY_ROW
        key = {"source_path", "item_number"} & columns
        if len(key) != 2 and (key or not is_row_wise):
            raise _no_key(mapping)
        relation = f'"{warehouse.one("select current_database()")}".{mapping.qualified}'
        cast = ", ".join(f"{name}::{kind} as {name}" for name, kind in types.items() if name in columns)
        if not key:  # row for row, so the lines themselves say where a row is from
            cast = f"item.source_path, item.item_number, {cast}"
            relation = f"raw.main.item as item positional join {relation}"
        mapped = f"from raw.main.mapped_shape union all by name select {cast} from {relation}"
        return cls(warehouse, mapping, is_row_wise, bool(key), mapped)

    def map(self, lines: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return the records made of the lines, and rows of evidence.skipped for the other lines.

        Raises SqlError where the mapping fails, or gives other than one row per line.
        """
        with self.warehouse.lent("lines", lines):
            try:
                self.warehouse.execute("create or replace view raw.main.item as from lines")
                self.warehouse.execute(f"create or replace view raw.main.mapped as {self.mapped}")
                incoming = self.warehouse.arrow("from evidence.incoming")
                self._require_one_row_per_line(lines, incoming)
            except (MachineError, SqlError):
                raise
            except StageError as error:
                raise SqlError(f"{self.mapping.path}: {error}") from error
            is_good = pc.is_null(incoming["problem"])
            with self.warehouse.lent("bad_lines", incoming.filter(pc.invert(is_good))):
                refused = self.warehouse.arrow(read_sql(__file__, "refused"))
        return incoming.filter(is_good).drop_columns(["problem"]), refused

    def _require_one_row_per_line(self, lines: pa.Table, incoming: pa.Table) -> None:
        distinct = pl.DataFrame(incoming.select(["source_path", "item_number"])).n_unique()
        if not self.names_its_lines and self._mapped_rows() != lines.num_rows:
            raise _no_key(self.mapping)
        is_one_each = lines.num_rows == incoming.num_rows == distinct
        if is_one_each and (self.is_row_wise or self._mapped_rows() == lines.num_rows):
            return
        missing = lines.num_rows - distinct
        raise SqlError(
            f"{self.mapping.path}: {lines.num_rows} lines gave {self._mapped_rows()} rows, and {missing} lines have none; "
            "a mapping must give exactly one row for each line of raw.item, with its source_path and item_number."
        )

    def _mapped_rows(self) -> int:
        return int(self.warehouse.one("select count(*) from query_table(?)", [self.mapping.qualified]))


def _no_key(mapping: View) -> SqlError:
    return SqlError(f"{mapping.path}: select source_path and item_number too, so that each row names its line.")
