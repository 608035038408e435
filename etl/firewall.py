"""The third layer of the firewall, and the audit: what was written is read back from disk and judged anew.

It trusts neither the views' admission nor a row's own label: each id's category is looked up in ``scored.run``.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice, zip_longest
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from etl.errors import AuditError, FirewallError
from etl.files import ROWS_PER_GROUP, TIME_FORMAT, fixed_batches, utc
from etl.run import Run

#: The categories that can never be in a dataset, whatever the flags; here on purpose, not imported from another layer.
NEVER = {"rag": {"rejected"}, "sft": {"rejected", "needs_human_review"}}

#: What the two sides of a pair may be.
PAIRS = {("accepted", "rejected"), ("accepted", "partially_accepted")}

_CATEGORY = """
select
    written.id,
    written.id = sha256(concat($dataset, chr(31), scored.evidence_id)) as is_named,
    scored.category,
from written
left join scored.run as scored
    on written.provenance.source_path = scored.source_path
    and written.provenance.line_number = scored.line_number
"""

_PAIR = """
select
    written.id,
    written.id = sha256(concat('preference', chr(31), chosen.evidence_id, chr(31), rejected.evidence_id)) as is_named,
    chosen.category as chosen_category,
    rejected.category as rejected_category,
    chosen.task_id = rejected.task_id as is_one_task,
    chosen.run_id = rejected.run_id as is_one_run,
from written
left join scored.run as chosen
    on written.provenance.chosen.source_path = chosen.source_path
    and written.provenance.chosen.line_number = chosen.line_number
left join scored.run as rejected
    on written.provenance.rejected.source_path = rejected.source_path
    and written.provenance.rejected.line_number = rejected.line_number
"""


def audit(run: Run, name: str, relation: str, stem: str, columns: Sequence[str], where: str) -> None:
    """Read ``stem``'s JSONL and Parquet from disk, compare them in full with each other and with the relation.

    For a dataset (not for a quarantine) every written row then passes the firewall. Raises AuditError, FirewallError.
    """
    relation_rows = run.warehouse.batches(relation, columns, where)
    schema = utc(relation_rows.schema)
    parquet, jsonl = (run.exports / stem).with_suffix(".parquet"), (run.exports / stem).with_suffix(".jsonl")
    expected = (table.cast(schema) for table in fixed_batches(relation_rows, relation_rows.schema))
    row = 0
    for ours, columnar, text in zip_longest(expected, _parquet(parquet, schema), _jsonl(jsonl, schema)):
        _same(ours, columnar, parquet, row)
        _same(ours, text, jsonl, row)
        if name in NEVER or name == "preference":
            refuse_forbidden(run, name, columnar, parquet)
            refuse_forbidden(run, name, text, jsonl)
        row += ours.num_rows


def refuse_forbidden(run: Run, dataset: str, rows: pa.Table, file: Path) -> None:
    """Raise FirewallError if a row of a dataset is of a category that may never be there, or is no known record."""
    if dataset == "preference":
        narrow = rows.select(["id", "provenance", "chosen", "rejected"])
        texts = zip(narrow["chosen"].to_pylist(), narrow["rejected"].to_pylist(), strict=True)
        if any(chosen == rejected for chosen, rejected in texts):
            raise FirewallError(f"{file}: a pair has one text on both sides; nothing was published.")
        with run.warehouse.lent("written", narrow.select(["id", "provenance"])):
            for pair_id, is_named, chosen, rejected, is_one_task, is_one_run in run.warehouse.execute(_PAIR):
                if not is_named or not is_one_task:
                    raise FirewallError(f"{file}: the pair {pair_id} is not made of two records of one task.")
                if (chosen, rejected) not in PAIRS:
                    raise FirewallError(
                        f"{file}: the pair {pair_id} sets {chosen} over {rejected}; that is no preference."
                    )
                if is_one_run:
                    raise FirewallError(f"{file}: the pair {pair_id} compares a run with itself.")
        return
    with run.warehouse.lent("written", rows.select(["id", "provenance"])):
        for row_id, is_named, category in run.warehouse.execute(_CATEGORY, {"dataset": dataset}):
            if not is_named:
                raise FirewallError(f"{file}: the row {row_id} is no record of scored.run; nothing was published.")
            if category in NEVER[dataset]:
                raise FirewallError(
                    f"{file}: the row {row_id} is {category}, which may never enter {dataset}; nothing was published."
                )


def _parquet(file: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    with pq.ParquetFile(file) as parquet:
        if not parquet.schema_arrow.equals(schema):
            raise AuditError(f"{file}: its columns or types are not those of the dataset.")
        yield from fixed_batches(parquet.iter_batches(ROWS_PER_GROUP), parquet.schema_arrow)


def _jsonl(file: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    """Parse with another library than the one that wrote it."""
    as_text = pa.schema([f.with_type(pa.string()) if pa.types.is_timestamp(f.type) else f for f in schema])
    times = [f.name for f in schema if pa.types.is_timestamp(f.type)]
    with file.open("rb") as lines:
        while chunk := b"".join(islice(lines, ROWS_PER_GROUP)):
            table = pa.json.read_json(
                BytesIO(chunk),
                read_options=pa.json.ReadOptions(use_threads=False, block_size=len(chunk) + 1),
                parse_options=pa.json.ParseOptions(explicit_schema=as_text, unexpected_field_behavior="error"),
            )
            frame = pl.from_arrow(table)
            assert isinstance(frame, pl.DataFrame)
            yield (
                frame.with_columns(
                    pl.col(times).str.strptime(pl.Datetime("us", "UTC"), TIME_FORMAT.replace("%.6fZ", "%.fZ"))
                )
                .to_arrow()
                .cast(schema)
            )


def _same(ours: pa.Table | None, written: pa.Table | None, file: Path, start: int) -> None:
    """Raise AuditError where two tables differ, naming the first row that does."""
    if ours is not None and written is not None and ours.equals(written):
        return
    if ours is None or written is None:
        raise AuditError(
            f"{file}: it has {'more' if ours is None else 'fewer'} rows than the relation it was written from."
        )
    for at, (left, right) in enumerate(zip_longest(ours.to_pylist(), written.to_pylist()), start=start + 1):
        if left != right:
            raise AuditError(f"{file}, row {at}: it differs from the relation it was written from.")
    raise AuditError(f"{file}: its types differ from those of the relation it was written from.")
