"""The export stages: write one relation as a dataset and its quarantine, and validate each batch before it is written."""

from collections.abc import Iterator
from itertools import chain, islice
from math import ceil
from typing import NamedTuple

import pandera.polars as pa_polars
import pyarrow as pa
from pandera.errors import SchemaErrors

from etl.base.datasets import Dataset
from etl.base.errors import ContractError
from etl.base.threads import Background, read_ahead, run_together
from etl.checks import columns_of, contract_of, quarantine_of
from etl.context import Proof, Run
from etl.export.firewall.audit import audit
from etl.export.writer import Written, fixed_batches, mark_utc, to_frame, write_files
from etl.warehouse.lineage import Lineage, settings_hash

#: The version of the datasets' columns, written into every Parquet file.
SCHEMA_VERSION = "1"

#: What SQL says of a row that is quarantined.
REFUSED = "quarantine_reason is not null"

#: The order of the rows in each file.
ORDER = "id, source_path, item_number, record_number"

#: How many rows are sorted at once. Rows are sorted in parts, by ranges of ids, so that a part must fit into memory, not all.
#: Each part scans all records, so parts are large; refused rows hold no text, so theirs are larger.
ROWS_PER_SORT = 300_000
REFUSED_PER_SORT = 1_000_000

#: How many tables are validated at once: validating costs as much per call as it does for the rows of one table.
TABLES_PER_CHECK = 4


def export(run: Run, dataset: Dataset) -> Proof:
    """Write a dataset and its quarantine at the same time, and return the proof that reads them back.

    Raises ContractError where a batch breaks its contract.
    """
    run.warehouse.materialise(dataset.decisions)
    lineage = run.lineage or Lineage.of(run.warehouse)
    settings = lineage.settings_of(dataset.relations, dataset.name)
    versions = {"schema_version": SCHEMA_VERSION, "settings_hash": settings_hash(run.settings, settings)}
    halves = (
        _Half(dataset, dataset.stem, dataset.ships, contract_of(dataset), ROWS_PER_SORT),
        _Half(dataset, dataset.quarantine_stem, REFUSED, quarantine_of(dataset), REFUSED_PER_SORT),
    )
    written = run_together(lambda half: _write(run.beside(), half, versions), halves)

    def prove(half: _Half, files: Written) -> None:
        mine = run.beside()
        with Background() as background:
            background.give(files.sync)
            audit(mine, files, lambda: half.rows(mine, half.count(mine)), dataset if half.ships else None)

    return lambda: run_together(prove, halves, written)


class _Half(NamedTuple):
    """The rows of a dataset that ship, or those that are refused.

    ``stem`` is the path of their files below exports/, ``where`` the condition that selects them, ``contract`` their schema,
    and ``sorted_at_once`` how many of them are sorted at once.
    """

    dataset: Dataset
    stem: str
    where: str
    contract: type[pa_polars.DataFrameModel]
    sorted_at_once: int

    @property
    def ships(self) -> bool:
        """Whether these are the rows that ship."""
        return self.stem == self.dataset.stem

    @property
    def name(self) -> str:
        """The dataset's name in the metadata of the Parquet file."""
        return self.dataset.name if self.ships else self.stem

    def count(self, run: Run) -> int:
        """Return how many rows there are."""
        decisions = f"{self.dataset.decisions} where dataset = $dataset and {self.where}"
        return int(run.warehouse.one(f"select count(*) from {decisions}", {"dataset": self.dataset.name}))

    def rows(self, run: Run, count: int) -> Iterator[pa.RecordBatch]:
        """Stream the ``count`` rows in the order of the files; yield one empty batch where there are none."""
        columns = columns_of(self.contract)
        for ids in _ranges(ceil(count / self.sorted_at_once) or 1):
            with run.warehouse.batches(self.dataset.relation, columns, f"({self.where}) and {ids}", ORDER) as rows:
                yield from rows if count else [pa.RecordBatch.from_pylist([], rows.schema)]


def _ranges(parts: int) -> list[str]:
    """Return conditions that cut the rows into parts of about equal size, in the order of their ids, which are hex digests."""
    bounds = [f"'{0x10000 * part // parts:04x}'" for part in range(1, parts)]
    begins = ["true", *(f"coalesce(id >= {bound}, true)" for bound in bounds)]
    ends = [*(f"id < {bound}" for bound in bounds), "true"]
    return [f"{begin} and {end}" for begin, end in zip(begins, ends, strict=True)]


def _write(run: Run, half: _Half, versions: dict[str, str]) -> Written:
    """Write the rows of a half; the metadata of its Parquet file names the dataset and the ``versions``."""
    count = half.count(run)
    batches = half.rows(run, count)
    first = next(batches)
    schema = mark_utc(first.schema)
    with read_ahead(fixed_batches(chain([first], batches))) as tables:
        good = _validate_all(run, half, count, (table.cast(schema) for table in tables))
        return write_files(run.exports / half.stem, schema, {"dataset": half.name, **versions}, good)


def _validate_all(run: Run, half: _Half, total: int, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the tables once they have passed the contract of a half, and show the progress."""
    done = 0
    while some := list(islice(tables, TABLES_PER_CHECK)):
        _validate(pa.concat_tables(some), half.contract, half.stem)
        for table in some:
            yield table
            done += table.num_rows
            run.progress(f"write {half.stem}", done, total)


def _validate(batch: pa.Table, contract: type[pa_polars.DataFrameModel], stem: str) -> None:
    """Raise ContractError where a batch breaks a contract; it names the first column and row that do."""
    frame = to_frame(batch)
    try:
        contract.validate(frame, lazy=True)
    except SchemaErrors as error:
        case = error.failure_cases.to_dicts()[0]
        row = case["index"]
        where = f" in row {frame['id'][row]}" if row is not None and "id" in frame.columns else ""
        raise ContractError(
            f"exports/{stem}: the schema {contract.__name__} refuses {case['column']}{where}: {case['check']}; "
            "the views in sql/6_datasets should have quarantined it."
        ) from None
