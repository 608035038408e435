"""Fetches rows of a dataset by the keys of their records, with the texts of these records alone.

The engine would put together all long texts before it joined them with a few records. So the views from the records to the
dataset stand once more in a database in memory, over the records of one batch: by law they can be computed in parts.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import pyarrow as pa
import pyarrow.compute as pc

from etl.base.datasets import Dataset
from etl.context import Run
from etl.warehouse.connection import BATCH, Warehouse
from etl.warehouse.lineage import Lineage
from etl.warehouse.statements import read_sql

#: The view of the records, and the tables that hold them.
RECORD = "evidence.record"
TABLES = ("evidence.stored_record", "evidence.long_text")


def define_rows(run: Run, dataset: Dataset) -> None:
    """Make the views of a dataset over the records of a batch: each cursor has a batch of its own, in temporary tables."""
    own, stored = run.warehouse.apart(BATCH)
    _choose(own, stored, dataset, pa.table({key: pa.array([], pa.int64()) for key in dataset.keys}))
    define_over_wanted(run, own, stored, dataset.relation)
    own.execute(f"create or replace view {dataset.decisions} as from temp.decided")
    own.close()


def define_over_wanted(run: Run, own: Warehouse, stored: str, relation: str) -> None:
    """Make a view over the records that a cursor wants: those whose keys are in temp.wanted."""
    if not own.one("select count(*) from duckdb_views() where database_name = 'of-batch'"):
        own.execute(run.sql["macros"])
    lineage = run.lineage or Lineage.of(run.warehouse)
    there = {name for (name,) in own.execute(read_sql(__file__, "relations"))}
    others = (lineage.reads[RECORD] | lineage.reads[relation]) & there - {RECORD, *TABLES}
    for schema in {name.split(".")[0] for name in (*others, *TABLES, relation)}:
        own.execute(f"create schema if not exists {schema}")
    for name in TABLES:
        wanted = "semi join temp.wanted as wanted using (record_key)"
        own.execute(f"create or replace view {name} as from {stored}.{name} {wanted}")
    for name in sorted(others):
        own.execute(f"create or replace view {name} as from {stored}.{name}")
    for name in (RECORD, relation):
        own.execute(f"create or replace view {name} as\n{run.sql.view(name).body}")


def fetch_rows(run: Run, dataset: Dataset, columns: list[str], groups: Sequence[pa.Table]) -> list[pa.Table]:
    """Return the rows of a dataset's view that have these keys, in their order: for each group of keys a table of one chunk."""
    keys = pa.concat_tables(groups).select(dataset.keys)
    own, stored = run.warehouse.apart(BATCH)
    _choose(own, stored, dataset, keys)
    rows = own.arrow(
        f"select batch.position, {', '.join(f'given.{name}' for name in columns)} from {dataset.relation} as given "
        f"inner join temp.batch as batch on {' and '.join(f'given.{key} = batch.{key}' for key in dataset.keys)}"
    )
    own.close()
    positions = rows["position"].to_pylist()
    if any(later < before for before, later in pairwise(positions)):  # mostly rows come in the order of their records
        rows = rows.take(pc.sort_indices(rows["position"]))
        positions.sort()
    ends = accumulate(map(len, groups), initial=0)
    cuts = pairwise(bisect_left(positions, end) for end in ends)
    return [rows.slice(start, end - start).drop_columns("position").combine_chunks() for start, end in cuts]


def _choose(own: Warehouse, stored: str, dataset: Dataset, keys: pa.Table) -> None:
    """Let the batch of a cursor be the rows with these keys.

    Their decisions are counted by the engine, so that it reads these into memory for a join, and not the texts of the records.
    """
    numbered = keys.append_column("position", pa.array(range(keys.num_rows), pa.int64()))
    with own.lent("keys", numbered):
        own.execute("create or replace temp table batch as from keys")
    of_batch = f"from {stored}.{dataset.decisions} semi join temp.batch using ({', '.join(dataset.keys)})"
    own.execute(f"create or replace temp table decided as {of_batch} where dataset = '{dataset.name}'")
    records = " union ".join(f"select {key} as record_key from temp.batch" for key in dataset.keys)
    own.execute(f"create or replace temp table wanted as {records}")


def cut(sizes: Sequence[int], most_rows: int, most_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield where groups of rows begin and end, given how many bytes of text each row has: one row may have more."""
    start = held = 0
    for place, size in enumerate(sizes):
        if place > start and (place - start == most_rows or held + size > most_bytes):
            yield start, place
            start, held = place, 0
        held += size
    if start < len(sizes):
        yield start, len(sizes)
