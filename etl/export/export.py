"""The export stages: write one relation as a dataset and its quarantine, and validate each batch before it is written.

Parts are written side by side, and read back side by side; memory decides how many at once. The rows of a part are fetched by
the keys of their records, a few row groups at a time.
"""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import pandera.polars as pa_polars
import pyarrow as pa
from pandera.errors import SchemaErrors

from etl.base.datasets import Dataset, part_of
from etl.base.errors import ContractError
from etl.base.memory import workers_within
from etl.base.threads import read_ahead, run_together
from etl.checks import columns_of, contract_of, quarantine_of
from etl.context import Proof, Run
from etl.export.firewall.audit import audit, begin_audit, require_distinct
from etl.export.rows import define_rows, fetch_rows
from etl.export.writer import ROWS_PER_GROUP, Written, mark_utc, to_frame, write_files
from etl.warehouse.lineage import Lineage, settings_hash

#: The version of the datasets' columns, written into every Parquet file.
SCHEMA_VERSION = "1"

#: What SQL says of a row that is quarantined.
REFUSED = "quarantine_reason is not null"

#: The most bytes of text in a row group, unless one row has more.
BYTES_PER_GROUP = 32 << 20

#: So many row groups, or bytes of text, are fetched and validated at once: a call costs as much as the rows of one group.
GROUPS_PER_BATCH = 4
BYTES_PER_BATCH = 32 << 20


def export(run: Run, dataset: Dataset) -> Proof:
    """Write a dataset and its quarantine, and return the proof that reads them back.

    Raises ContractError where a batch breaks its contract.
    """
    run.warehouse.materialise("evidence.part")
    run.warehouse.materialise(dataset.decisions)
    lineage = run.lineage or Lineage.of(run.warehouse)
    settings = lineage.settings_of(dataset.relations, dataset.name)
    versions = {"schema_version": SCHEMA_VERSION, "settings_hash": settings_hash(run.settings, settings)}
    halves = (
        _Half(dataset, dataset.stem, dataset.ships, contract_of(dataset)),
        _Half(dataset, dataset.quarantine_stem, REFUSED, quarantine_of(dataset)),
    )
    parts = [part for half in halves for part in half.parts(run)]
    define_rows(run, dataset)
    workers = workers_within(run.settings.memory_limit, run.settings.threads)
    written = run_together(lambda part: _write(run.beside(), part, versions), parts, workers=workers)

    def prove(part: _Part, files: Written) -> None:
        mine = run.beside()
        files.sync()
        audit(mine, files, lambda: chain.from_iterable(part.rows(mine)), dataset if part.half.ships else None)

    def prove_all() -> None:
        begin_audit(run.beside())
        run_together(prove, parts, written, workers=workers)
        require_distinct(run.beside())

    return prove_all


class _Half(NamedTuple):
    """The rows of a dataset that ship, or those that are refused.

    ``stem`` is the path of their parts below exports/, ``where`` the condition that selects them, ``contract`` their schema.
    """

    dataset: Dataset
    stem: str
    where: str
    contract: type[pa_polars.DataFrameModel]

    @property
    def ships(self) -> bool:
        """Whether these are the rows that ship."""
        return self.stem == self.dataset.stem

    @property
    def name(self) -> str:
        """The dataset's name in the metadata of the Parquet file."""
        return self.dataset.name if self.ships else self.stem

    def parts(self, run: Run) -> "list[_Part]":
        """Return the parts that have rows, in their order; the first part where none has."""
        found = run.warehouse.execute(
            f"select part, count(*) from {self.dataset.decisions} where dataset = $dataset and {self.where} "
            "group by part order by part",
            {"dataset": self.dataset.name},
        )
        total = sum(count for _, count in found)
        return [_Part(self, number, total, run.settings.one_file) for number, _ in found or [(1, 0)]]


class _Part(NamedTuple):
    """The rows of a half that lie in one part of the evidence; ``total`` are the rows of the half."""

    half: _Half
    number: int
    total: int
    is_whole: bool

    @property
    def stem(self) -> str:
        """The path of its files below exports/, without their endings."""
        return self.half.stem if self.is_whole else part_of(self.half.stem, self.number)

    def rows(self, run: Run) -> Iterator[list[pa.Table]]:
        """Stream its rows in their order: a few row groups at a time, which depend on the rows alone."""
        columns = columns_of(self.half.contract)
        for keys in self._batches(run):
            yield fetch_rows(run, self.half.dataset, columns, keys)

    def _batches(self, run: Run) -> Iterator[list[pa.Table]]:
        """Yield the keys of its rows, those of a row group in one table; one empty table where there are no rows."""
        table = self._keys(run)
        sizes = table["bytes"].to_pylist()
        batch: list[pa.Table] = []
        held = 0
        for start, end in _cut(sizes):
            size = sum(sizes[start:end])
            if batch and (len(batch) == GROUPS_PER_BATCH or held + size > BYTES_PER_BATCH):
                yield batch
                batch, held = [], 0
            batch.append(table.slice(start, end - start))
            held += size
        yield batch or [table]

    def _keys(self, run: Run) -> pa.Table:
        """Return the keys of its rows in their order, and how many bytes of text each row has: none where it is refused."""
        dataset, keys = self.half.dataset, self.half.dataset.keys
        joins, sizes = [], ["0"]
        for key in keys if self.half.ships else ():
            joins.append(f"inner join evidence.stored_record as of_{key} on decision.{key} = of_{key}.record_key")
            sizes.append(f"of_{key}.text_bytes")
        return run.warehouse.arrow(
            f"select {', '.join(f'decision.{key}' for key in keys)}, {' + '.join(sizes)} as bytes "
            f"from {dataset.decisions} as decision {' '.join(joins)} "
            f"where decision.dataset = $dataset and decision.part = $part and {self.half.where} "
            f"order by {', '.join(f'decision.{name}' for name in dataset.order)}",
            {"dataset": dataset.name, "part": self.number},
        )


def _cut(sizes: list[int]) -> Iterator[tuple[int, int]]:
    """Yield where row groups begin and end, given how many bytes of text each row has."""
    start = held = 0
    for place, size in enumerate(sizes):
        if place > start and (place - start == ROWS_PER_GROUP or held + size > BYTES_PER_GROUP):
            yield start, place
            start, held = place, 0
        held += size
    if start < len(sizes):
        yield start, len(sizes)


def _write(run: Run, part: _Part, versions: dict[str, str]) -> Written:
    """Write the rows of a part; the metadata of its Parquet file names the dataset and the ``versions``."""
    with read_ahead(part.rows(run)) as batches:
        first = next(batches)
        schema = mark_utc(first[0].schema)
        good = _validated(run, part, chain([first], batches), schema)
        return write_files(run.exports / part.stem, schema, {"dataset": part.half.name, **versions}, good)


def _validated(run: Run, part: _Part, batches: Iterator[list[pa.Table]], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the tables once they have passed the contract of their half, and show the progress."""
    done = 0
    for tables in batches:
        timed = [table.cast(schema) for table in tables]
        _validate(pa.concat_tables(timed), part.half.contract, part.stem)
        for table in filter(len, timed):
            yield table
            done += table.num_rows
            run.progress(f"write {part.stem}", done, part.total)


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
