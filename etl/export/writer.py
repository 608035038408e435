"""Writes the JSONL and the Parquet file of a dataset, with the same rows, in batches of a fixed length."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from etl.base.files import sync_file
from etl.base.threads import Background

#: The most rows in a Parquet row group. It decides the bytes of the files.
ROWS_PER_GROUP = 10_240

#: How many rows become text at once: few enough for the text to stay in the caches until it is written.
ROWS_PER_TEXT = 2_048

#: The level of the Parquet files' zstd compression. It decides the bytes too.
ZSTD_LEVEL = 3

#: Columns of few distinct values: only there does a dictionary make the file smaller. They decide the bytes too.
REPETITIVE = (
    *("source", "source_category", "quality_score", "category", "chosen_category", "rejected_category"),
    *("model", "reason", "quarantine_reason", "quarantine_reasons.list.element"),
    *("provenance.source_path", "provenance.chosen.source_path", "provenance.rejected.source_path"),
)

#: How a time is written in JSONL: always UTC, always six digits of a second.
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"


def regrouped(batches: Iterable[pa.RecordBatch], lengths: Iterable[int]) -> Iterator[pa.Table]:
    """Cut a stream of batches of any length into tables of these lengths in one chunk; what is left comes as one more."""
    rest: list[pa.RecordBatch] = []
    left = iter(batches)
    for length in lengths:
        while sum(batch.num_rows for batch in rest) < length and (batch := next(left, None)) is not None:
            rest.append(batch)
        if rest:
            table = pa.Table.from_batches(rest)
            yield _join(table.slice(0, length).to_batches())
            rest = table.slice(length).to_batches()
    if rest := [*rest, *left]:
        yield _join(rest)


def _join(batches: list[pa.RecordBatch]) -> pa.Table:
    """Join batches into one chunk. A part of a batch is copied, as the engine cannot read a struct that begins at an offset."""
    is_whole = len(batches) == 1 and batches[0].column(0).offset == 0
    return pa.Table.from_batches([batches[0] if is_whole else pa.concat_batches(batches)])


def to_frame(rows: pa.Table) -> pl.DataFrame:
    """Return a table as a frame of polars."""
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


def digest_of(rows: pa.Table) -> bytes:
    """Return the sha256 over polars' 64-bit hash of each row, by which one process can compare tables."""
    return hashlib.sha256(to_frame(rows).hash_rows().to_arrow().buffers()[1]).digest()


def mark_utc(schema: pa.Schema) -> pa.Schema:
    """Return a schema whose times are marked as UTC, to the microsecond."""
    time = pa.timestamp("us", tz="UTC")
    return pa.schema([field.with_type(time) if pa.types.is_timestamp(field.type) else field for field in schema])


class Written(NamedTuple):
    """The two files of a part, their columns, and the length and the digest of each table that the writers were given."""

    jsonl: Path
    parquet: Path
    schema: pa.Schema
    lengths: list[int]
    digests: list[bytes]

    def sync(self) -> None:
        """Make both files durable. Raises OSError that names the file that cannot be synced."""
        for file in (self.jsonl, self.parquet):
            sync_file(file)


def write_files(stem: Path, schema: pa.Schema, metadata: dict[str, str], tables: Iterable[pa.Table]) -> Written:
    """Write the same rows as JSONL and as Parquet, each in a thread of its own, and return what was written.

    ``stem`` is the path of the files without their endings. Each table has the ``schema``, and one chunk, as Parquet's pages
    end where chunks end. It becomes a row group of the Parquet file. Each JSON row has every key, and times in ``TIME_FORMAT``.
    The files are durable once they are synced.
    """
    written = Written(stem.with_suffix(".jsonl"), stem.with_suffix(".parquet"), schema, [], [])
    stem.parent.mkdir(parents=True, exist_ok=True)
    for file in (written.jsonl, written.parquet):
        file.unlink(missing_ok=True)  # it may be a hard link to a published file, which must not change
    options = {"compression": "zstd", "compression_level": ZSTD_LEVEL, "use_dictionary": list(REPETITIVE)}
    with (
        written.jsonl.open("wb") as lines,
        pq.ParquetWriter(written.parquet, schema.with_metadata(metadata), **options) as groups,
        Background() as for_lines,
        Background() as for_groups,
    ):
        for rows in tables:
            written.lengths.append(rows.num_rows)
            written.digests.append(digest_of(rows))
            for_lines.give(_write_lines, rows, lines)
            for_groups.give(groups.write_table, rows.cast(groups.schema), ROWS_PER_GROUP)
    return written


def _write_lines(rows: pa.Table, lines: BinaryIO) -> None:
    for part in to_frame(rows).iter_slices(ROWS_PER_TEXT):
        part.with_columns(pl.selectors.datetime().dt.strftime(TIME_FORMAT)).write_ndjson(lines)
