"""From lines to records: a source's mapping (sql/2_sources) over a portion of its lines, and the checks on what it gives."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import MachineError, SqlError, StageError
from etl.run import Run
from etl.views import View
from etl.warehouse import Warehouse

#: The columns of raw.line.
LINE = pa.schema(
    [
        ("source", pa.string()),
        ("source_path", pa.string()),
        ("line_number", pa.int64()),
        ("line_sha256", pa.string()),
        ("json", pa.string()),
    ]
)

#: The steps of a plan that gives row for row what it reads, in that order.
_ROW_BY_ROW = {"PROJECTION", "SEQ_SCAN"}

_COUNTS = """
select
    (select count(*) from raw.line),
    (select count(*) from raw.mapped),
    (select count(*) from raw.line semi join raw.mapped using (source_path, line_number)),
"""

_REFUSED = """
select
    bad.source,
    bad.source_path,
    bad.line_number,
    bad.line_sha256,
    bad.problem as reason,
    encode(line.json) as raw,
from bad_lines as bad
inner join raw.line as line on bad.source_path = line.source_path and bad.line_number = line.line_number
"""


@dataclass(frozen=True)
class Mapper:
    """One source's mapping at work; ``warehouse`` is a cursor for the thread that maps.

    A mapping that goes row by row (``is_row_wise``) can map any portion of the lines on its own; another one, say with a
    window over the lines, needs all lines of its source at once.
    """

    warehouse: Warehouse
    mapping: View
    is_row_wise: bool
    names_its_lines: bool

    @classmethod
    def of(cls, run: Run, warehouse: Warehouse, source: str) -> "Mapper":
        """Return the mapper of a source. Raises SqlError where its mapping names what it must not."""
        mapping = run.sql.source(source)
        columns = set(warehouse.columns(mapping.qualified))
        unknown = sorted(columns - set(warehouse.columns("raw.mapped")))
        if unknown:
            raise SqlError(f"{mapping.path}: evidence.record has no column {', '.join(unknown)}; rename or remove it.")
        is_row_wise = warehouse.steps(mapping.qualified) <= _ROW_BY_ROW
        key = {"source_path", "line_number"} & columns
        if len(key) != 2 and (key or not is_row_wise):
            raise _no_key(mapping)
        return cls(warehouse, mapping, is_row_wise, names_its_lines=bool(key))

    def map(self, lines: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return the records that the lines become, and the rows of evidence.skipped for the others.

        Raises SqlError where the mapping fails, or gives other than one row per line.
        """
        self.warehouse.execute("truncate raw.line")
        self.warehouse.insert("raw.line", lines)
        self.warehouse.execute("truncate raw.mapped")
        try:
            self._fill_mapped()
            self._require_one_row_per_line()
            incoming = self.warehouse.arrow("from evidence.incoming")
        except (MachineError, SqlError):
            raise
        except StageError as error:
            raise SqlError(f"{self.mapping.path}: {error}") from error
        is_good = pc.is_null(incoming["problem"])
        with self.warehouse.lent("bad_lines", incoming.filter(pc.invert(is_good))):
            refused = self.warehouse.arrow(_REFUSED)
        return incoming.filter(is_good).drop_columns(["problem"]), refused

    def _fill_mapped(self) -> None:
        if self.names_its_lines:
            self.warehouse.execute("insert into raw.mapped by name from query_table(?)", [self.mapping.qualified])
            return
        rows = self.warehouse.one("select count(*) from query_table(?)", [self.mapping.qualified])
        if rows != self.warehouse.one("select count(*) from raw.line"):
            raise _no_key(self.mapping)
        self.warehouse.execute(
            "insert into raw.mapped by name select line.source_path, line.line_number, mapped.* "
            "from raw.line as line positional join query_table(?) as mapped",
            [self.mapping.qualified],
        )

    def _require_one_row_per_line(self) -> None:
        lines, mapped, matched = self.warehouse.execute(_COUNTS)[0]
        if not lines == mapped == matched:
            raise SqlError(
                f"{self.mapping.path}: {lines} lines gave {mapped} rows, and {lines - matched} lines have none; "
                "a mapping must give exactly one row for each line of raw.line, with its source_path and line_number."
            )


def _no_key(mapping: View) -> SqlError:
    return SqlError(f"{mapping.path}: select source_path and line_number too, so that each row names its line.")
