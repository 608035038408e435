"""What a receipt says of a written file, measured from the bytes on disk."""

import hashlib
from pathlib import Path

import pyarrow.parquet as pq

from etl.base.signals import stop_if_told
from etl.receipts.models import FileEntry


def measure(file: Path, path: str) -> FileEntry:
    """Return the entry of a JSONL or Parquet file under the name ``path``: hash, bytes, rows; of Parquet the columns too.

    Raises OSError, or pyarrow.ArrowInvalid where a Parquet file is damaged.
    """
    is_parquet = file.suffix == ".parquet"
    digest, size, records = _read(file, counts_lines=not is_parquet)
    columns = None
    if is_parquet:
        records = pq.read_metadata(file).num_rows
        columns = [f"{column.name}: {column.type}" for column in pq.read_schema(file)]
    return FileEntry(path=path, sha256=digest, bytes=size, record_count=records, columns=columns)


def _read(file: Path, counts_lines: bool) -> tuple[str, int, int]:
    """Return the sha256 hex of a file's bytes, their number, and the number of line feeds where that is asked for."""
    digest = hashlib.sha256()
    size = lines = 0
    with file.open("rb", buffering=0) as stream:
        while chunk := stream.read(1 << 20):
            stop_if_told()
            digest.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n") if counts_lines else 0
    return digest.hexdigest(), size, lines
