"""The export stages: one relation becomes a dataset and its quarantine, validated batch by batch as it is written."""

import pandera.polars as pa_polars
import polars as pl
import pyarrow as pa
from pandera.errors import SchemaErrors

from etl.checks import DATASETS, Dataset, columns_of
from etl.errors import ContractError
from etl.files import DatasetWriter, Spool, fixed_batches, utc
from etl.firewall import audit
from etl.run import Run
from etl.threads import Behind, ahead

#: The version of the datasets' columns, written into every Parquet file.
SCHEMA_VERSION = "1"

REFUSED = "quarantine_reason is not null"

ORDER = "id, source_path, line_number"

DATASET_BY_NAME = {dataset.name: dataset for dataset in DATASETS}


def export(run: Run, name: str) -> None:
    """Write the dataset ``name`` and its quarantine, and read both back from disk to audit them.

    The dataset is audited while its quarantine is written.
    Raises ContractError where a batch breaks its schema, FirewallError or AuditError where the written bytes are wrong.
    """
    dataset = DATASET_BY_NAME[name]
    run.warehouse.materialise(dataset.fates)
    with Behind() as behind:
        shipped = _write(run, dataset, dataset.stem, dataset.contract)
        behind.give(_audit, run.beside(), shipped, dataset.stem, dataset.name)
        refused = _write(run, dataset, dataset.quarantine_stem, dataset.quarantine)
    _audit(run, refused, dataset.quarantine_stem)


def _audit(run: Run, expected: Spool, stem: str, dataset: str | None = None) -> None:
    audit(run, expected.tables(), utc(expected.schema), stem, dataset)


def _write(run: Run, dataset: Dataset, stem: str, contract: type[pa_polars.DataFrameModel]) -> Spool:
    """Write the rows that ship, or those that are refused, and return them as the relation had them."""
    ships = stem == dataset.stem
    relation = dataset.relation if ships else dataset.fates
    where = dataset.ships if ships else REFUSED
    metadata = {
        "dataset": dataset.name if ships else stem,
        "schema_version": SCHEMA_VERSION,
        "settings_hash": run.settings_hash(f"export-{dataset.name}"),
    }
    total = run.warehouse.one(f"select count(*) from {dataset.fates} where {where}")
    rows = run.warehouse.batches(relation, columns_of(contract), where, ORDER)
    schema = utc(rows.schema)
    done = 0
    with (
        Spool(run.scratch / f"{stem.replace('/', '-')}.arrow", schema) as spool,
        DatasetWriter(run.exports / stem, schema, metadata) as writer,
    ):
        for table in ahead(fixed_batches(rows, rows.schema)):
            batch = table.cast(schema)
            spool.write(batch)
            _validate(batch, contract, stem)
            writer.write(batch)
            done += batch.num_rows
            run.progress(f"write {stem}", done, total)
    return spool


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
