"""The parts of a dataset and of its quarantine: which rows lie in each, and which of them were published like that before.

The rows of a part are fetched by the keys of their records, a few row groups at a time.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pandera.polars as pa_polars
import pyarrow as pa

from etl.base.datasets import ENDINGS, Dataset, part_of
from etl.checks import columns_of, contract_of, quarantine_of
from etl.context import Run
from etl.export.rows import RECORD, cut, fetch_rows
from etl.export.writer import ROWS_PER_GROUP
from etl.warehouse.statements import read_sql

#: What SQL says of a row that is quarantined.
REFUSED = "quarantine_reason is not null"

#: The most bytes of text in a row group, unless one row has more.
BYTES_PER_GROUP = 32 << 20

#: So many row groups, or bytes of text, are fetched and validated at once: a call costs as much as the rows of one group.
GROUPS_PER_BATCH = 4
BYTES_PER_BATCH = 32 << 20


def parts_of(run: Run, dataset: Dataset) -> "list[Part]":
    """Return the parts that have rows of a dataset, then of its quarantine, in their order; the first where none has."""
    halves = {
        True: Half(dataset, dataset.stem, dataset.ships, contract_of(dataset)),
        False: Half(dataset, dataset.quarantine_stem, REFUSED, quarantine_of(dataset)),
    }
    found = run.warehouse.execute(read_sql(__file__, f"parts_of_{dataset.grain}s"), {"dataset": dataset.name})
    parts = []
    for ships, half in halves.items():
        mine = [(part, records, digest) for is_shipped, part, records, digest in found if is_shipped == ships]
        total = sum(records for _, records, _ in mine)
        parts += [Part(half, part, digest, total, run.settings.one_file) for part, _, digest in mine or [(1, 0, None)]]
    return parts


def published_as(run: Run, dataset: Dataset) -> dict[str, str]:
    """Return the stems of the published parts, by their digests, whose rows a new part with this digest would have again.

    None where an overlay makes the rows of something else than the decisions and the records.
    """
    decided_by = {dataset.relation, dataset.decisions, RECORD}
    if not run.intact or decided_by & run.sql.replaced.keys():
        return {}
    rows = run.warehouse.execute("select digest, stem from datasets.written_part where dataset = ?", [dataset.name])
    return {digest: stem for digest, stem in rows if run.intact.issuperset(f"exports/{stem}{ending}" for ending in ENDINGS)}


def note_parts(run: Run, dataset: Dataset, parts: "list[Part]") -> None:
    """Write down the digests of a dataset's parts, for the next run."""
    rows = [{"dataset": dataset.name, "stem": part.stem, "digest": part.digest} for part in parts if part.digest]
    run.warehouse.execute("delete from datasets.written_part where dataset = ?", [dataset.name])
    if rows:
        run.warehouse.insert("datasets.written_part", pa.Table.from_pylist(rows))


class Half(NamedTuple):
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


class Part(NamedTuple):
    """The rows of a half that lie in one part of the evidence.

    Two parts have the same ``digest`` where they have the same rows; it is null where there are none. ``total`` are the rows of
    the half. Where ``is_whole``, the half is not in parts.
    """

    half: Half
    number: int
    digest: str | None
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
        for start, end in cut(sizes, ROWS_PER_GROUP, BYTES_PER_GROUP):
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
