"""The export stages: write one relation as a dataset and its quarantine, and validate each batch before it is written.

Parts are written side by side, and read back side by side; memory decides how many at once. A part that has not changed since
the published version is a second name of its files.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pandera.polars as pa_polars
import pyarrow as pa
from pandera.errors import SchemaErrors

from etl.base.datasets import ENDINGS, Dataset
from etl.base.errors import ContractError
from etl.base.files import link_or_copy
from etl.base.memory import workers_within
from etl.base.threads import read_ahead, run_together
from etl.context import Proof, Run
from etl.export.firewall.audit import audit, audit_again, begin_audit, require_distinct
from etl.export.parts import Part, note_parts, parts_of, published_as
from etl.export.rows import define_rows
from etl.export.writer import Written, mark_utc, to_frame, write_files
from etl.warehouse.lineage import Lineage, settings_hash

#: The version of the datasets' columns, written into every Parquet file.
SCHEMA_VERSION = "1"


def export(run: Run, dataset: Dataset) -> Proof:
    """Write a dataset and its quarantine, and return the proof that reads them back.

    Raises ContractError where a batch breaks its contract.
    """
    run.warehouse.materialise("evidence.part")
    run.warehouse.materialise(dataset.decisions)
    parts, published = parts_of(run, dataset), published_as(run, dataset)
    kept = [part for part in parts if part.digest in published]
    for part in kept:
        _keep(run, part, published[str(part.digest)])
    new = [part for part in parts if part.digest not in published]
    workers = workers_within(run.settings.memory_limit, run.settings.threads)
    written = _write_all(run, dataset, new, workers)
    note_parts(run, dataset, parts)

    def prove(part: Part, files: Written) -> None:
        mine = run.beside()
        files.sync()
        audit(mine, files, lambda: chain.from_iterable(part.rows(mine)), dataset if part.half.ships else None)

    def prove_all() -> None:
        begin_audit(run.beside())
        run_together(prove, new, written, workers=workers)
        audit_again(run.beside(), shipped(kept), dataset)
        require_distinct(run.beside(), shipped(parts))

    def shipped(some: list[Part]) -> list[Path]:
        return [run.exports / f"{part.stem}.parquet" for part in some if part.half.ships]

    return prove_all


def _keep(run: Run, part: Part, stem: str) -> None:
    """Give the published files of this stem the names of a part, which has the same rows."""
    for ending in ENDINGS:
        target = run.exports / f"{part.stem}{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(run.project.exports / f"{stem}{ending}", target)


def _write_all(run: Run, dataset: Dataset, parts: list[Part], workers: int) -> list[Written]:
    """Write parts side by side; the metadata of each Parquet file has the version of the columns, and the settings."""
    if parts:
        define_rows(run, dataset)
    lineage = run.lineage or Lineage.of(run.warehouse)
    settings = lineage.settings_of(dataset.relations, dataset.name)
    versions = {"schema_version": SCHEMA_VERSION, "settings_hash": settings_hash(run.settings, settings)}
    return run_together(lambda part: _write(run.beside(), part, versions), parts, workers=workers)


def _write(run: Run, part: Part, versions: dict[str, str]) -> Written:
    """Write the rows of a part; the metadata of its Parquet file names the dataset and the ``versions``."""
    with read_ahead(part.rows(run)) as batches:
        first = next(batches)
        schema = mark_utc(first[0].schema)
        good = _validated(run, part, chain([first], batches), schema)
        return write_files(run.exports / part.stem, schema, {"dataset": part.half.name, **versions}, good)


def _validated(run: Run, part: Part, batches: Iterator[list[pa.Table]], schema: pa.Schema) -> Iterator[pa.Table]:
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
