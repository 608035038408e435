"""The export stages: one relation becomes a dataset and its quarantine, validated batch by batch as it is written."""

import pandera.polars as pa_polars
import polars as pl
import pyarrow as pa
from pandera.errors import SchemaErrors

from etl.checks import DATASETS, Dataset, columns_of
from etl.errors import ContractError
from etl.files import DatasetWriter, fixed_batches, utc
from etl.firewall import audit
from etl.run import Run

#: The version of the datasets' columns, written into every Parquet file.
SCHEMA_VERSION = "1"

REFUSED = "quarantine_reason is not null"

ORDER = "id, source_path, line_number"

DATASET_BY_NAME = {dataset.name: dataset for dataset in DATASETS}


def export(run: Run, name: str) -> None:
    """Write the dataset ``name`` and its quarantine, then read both back from disk and audit them.

    Raises ContractError where a batch breaks its schema, FirewallError or AuditError where the written bytes are wrong.
    """
    dataset = DATASET_BY_NAME[name]
    run.warehouse.materialise(dataset.relation, ORDER)
    _write(run, dataset, dataset.stem, dataset.contract, _ships(name))
    _write(run, dataset, dataset.quarantine_stem, dataset.quarantine, REFUSED)
    _audit(run, dataset)


def _audit(run: Run, dataset: Dataset) -> None:
    columns = columns_of(dataset.contract)
    audit(run, dataset.relation, dataset.stem, columns, _ships(dataset.name), dataset.name)
    audit(run, dataset.relation, dataset.quarantine_stem, columns_of(dataset.quarantine), REFUSED)


def _ships(name: str) -> str:
    return "quarantine_reason is null" + (" and skip_reason is null" if name == "preference" else "")


def _write(run: Run, dataset: Dataset, stem: str, contract: type[pa_polars.DataFrameModel], where: str) -> None:
    rows = run.warehouse.batches(dataset.relation, columns_of(contract), where)
    name = dataset.name if stem == dataset.stem else stem
    metadata = {
        "dataset": name,
        "schema_version": SCHEMA_VERSION,
        "settings_hash": run.settings_hash(f"export-{dataset.name}"),
    }
    total = run.warehouse.one(f"select count(*) from {dataset.relation} where {where}")
    done = 0
    with DatasetWriter(run.exports / stem, utc(rows.schema), metadata) as writer:
        for table in fixed_batches(rows, rows.schema):
            batch = table.cast(utc(rows.schema))
            _validate(batch, contract, stem)
            writer.write(batch)
            done += batch.num_rows
            run.progress(f"write {stem}", done, total)


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
