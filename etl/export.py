"""The export stages: one relation becomes a dataset and its quarantine, validated batch by batch as it is written."""

from collections.abc import Iterator
from itertools import islice
from math import ceil
from typing import NamedTuple

import pandera.polars as pa_polars
import polars as pl
import pyarrow as pa
from pandera.errors import SchemaErrors

from etl.checks import DATASETS, Dataset, columns_of
from etl.errors import ContractError
from etl.files import DatasetWriter, Written, fixed_batches, utc
from etl.firewall import audit
from etl.run import Run
from etl.threads import Behind, ahead

#: The version of the datasets' columns, written into every Parquet file.
SCHEMA_VERSION = "1"

REFUSED = "quarantine_reason is not null"

ORDER = "id, source_path, line_number"

#: Rows that are sorted at once: what is sorted in parts, by ranges of ids, needs the memory of a part. Each part reads past all
#: records, so there are few; what is refused holds no text, and so its parts can be larger.
ROWS_PER_SORT = 300_000
REFUSED_PER_SORT = 1_000_000

#: Tables that are validated at once: half of what a table takes is the validation's own, however few its rows.
TABLES_PER_CHECK = 4

DATASET_BY_NAME = {dataset.name: dataset for dataset in DATASETS}


def export(run: Run, name: str) -> None:
    """Write the dataset ``name`` and its quarantine, both at once, and read them back from disk to audit them.

    Raises ContractError where a batch breaks its schema, FirewallError or AuditError where the written bytes are wrong.
    """
    dataset = DATASET_BY_NAME[name]
    run.warehouse.materialise(dataset.fates)
    shipped = _Half(dataset.relation, dataset.ships, dataset.stem, dataset.contract, ROWS_PER_SORT)
    refused = _Half(dataset.relation, REFUSED, dataset.quarantine_stem, dataset.quarantine, REFUSED_PER_SORT)
    with Behind() as behind:
        behind.give(_export_half, run.beside(), dataset, shipped)
        _export_half(run, dataset, refused)


class _Half(NamedTuple):
    """The rows that ship, or those that are refused: of which relation, under which condition, into which files.

    So many of them are sorted at once.
    """

    relation: str
    where: str
    stem: str
    contract: type[pa_polars.DataFrameModel]
    sorted_at_once: int

    def schema(self, run: Run) -> pa.Schema:
        """Return the columns of the written rows and their types."""
        with run.warehouse.batches(self.relation, columns_of(self.contract), "false") as rows:
            return utc(rows.schema)

    def rows(self, run: Run, total: int) -> Iterator[pa.RecordBatch]:
        """Stream the rows, ``total`` of them, in the order in which they are written."""
        columns = columns_of(self.contract)
        for ids in _ranges(ceil(total / self.sorted_at_once) or 1):
            with run.warehouse.batches(self.relation, columns, f"({self.where}) and {ids}", ORDER) as rows:
                yield from rows


def _ranges(parts: int) -> list[str]:
    """Return conditions that part the rows by their ids, which are hex digests, into about equal parts, in order."""
    bounds = [f"'{0x10000 * part // parts:04x}'" for part in range(1, parts)]
    begins = ["true", *(f"coalesce(id >= {bound}, true)" for bound in bounds)]
    ends = [*(f"id < {bound}" for bound in bounds), "true"]
    return [f"{begin} and {end}" for begin, end in zip(begins, ends, strict=True)]


def _export_half(run: Run, dataset: Dataset, half: _Half) -> None:
    total = run.warehouse.one(f"select count(*) from {dataset.fates} where {half.where}")
    written = _write(run, dataset, half, total)
    audit(run, written, lambda: half.rows(run, total), dataset.name if half.stem == dataset.stem else None)


def _write(run: Run, dataset: Dataset, half: _Half, total: int) -> Written:
    schema = half.schema(run)
    metadata = {
        "dataset": dataset.name if half.stem == dataset.stem else half.stem,
        "schema_version": SCHEMA_VERSION,
        "settings_hash": run.settings_hash(f"export-{dataset.name}"),
    }
    done = 0
    with (
        DatasetWriter(run.exports / half.stem, schema, metadata) as writer,
        ahead(fixed_batches(half.rows(run, total))) as tables,
    ):
        while some := [table.cast(schema) for table in islice(tables, TABLES_PER_CHECK)]:
            _validate(pa.concat_tables(some), half.contract, half.stem)
            for table in some:
                writer.write(table)
                done += table.num_rows
                run.progress(f"write {half.stem}", done, total)
    return writer.written


def _validate(batch: pa.Table, contract: type[pa_polars.DataFrameModel], stem: str) -> None:
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    try:
        contract.validate(frame, lazy=True)
    except SchemaErrors as error:
        case = error.failure_cases.to_dicts()[0]
        row = case["index"]
        where = f" in the row {frame['id'][row]}" if row is not None and "id" in frame.columns else ""
        raise ContractError(
            f"exports/{stem}: the schema {contract.__name__} refuses {case['column']}{where}: {case['check']}; "
            "the views under sql/6_datasets should have quarantined it."
        ) from None
