"""Inserts records, skipped lines and files into the tables evidence.*, and deletes those that are gone."""

from collections.abc import Collection
from typing import Any

import pyarrow as pa

from etl.warehouse.connection import Warehouse

#: Records are inserted by row groups of the engine, so that each is compressed once,
ROWS_PER_INSERT = 122_880
#: or sooner, where so many bytes wait.
BYTES_PER_INSERT = 256 << 20


class Loader:
    """Inserts into evidence.* and deletes from it; ``warehouse`` is a cursor for the thread that does."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._waiting: pa.Table | None = None

    def put(self, records: pa.Table | None, skipped: pa.Table) -> None:
        """Insert rows of evidence.skipped, and rows of evidence.record, which may wait for others."""
        if skipped.num_rows:
            self._warehouse.insert("evidence.skipped", skipped)
        if records:
            waiting = pa.concat_tables([self._waiting, records]) if self._waiting else records
            while waiting.num_rows >= ROWS_PER_INSERT or waiting.nbytes >= BYTES_PER_INSERT:
                self._insert(waiting)
                waiting = waiting.slice(ROWS_PER_INSERT)
            self._waiting = waiting

    def finish(self, files: list[dict[str, Any]], gone: Collection[str]) -> None:
        """Insert what waits, and the rows of evidence.file, from which those of files that are gone are deleted."""
        if self._waiting:
            self._insert(self._waiting)
        self._delete("evidence.file where", [*gone, *(file["source_path"] for file in files)])
        if files:
            self._warehouse.insert("evidence.file", pa.Table.from_pylist(files))

    def forget(self, paths: Collection[str], after_line: int = -1) -> None:
        """Delete what came from these files, or from their lines after one of this number."""
        for table in ("evidence.record", "evidence.skipped"):
            self._delete(f"{table} where line_number > {after_line} and", paths)

    def _insert(self, records: pa.Table) -> None:
        # in one chunk, so that one thread of the engine fills one row group
        self._warehouse.insert("evidence.record", records.slice(0, ROWS_PER_INSERT).combine_chunks())

    def _delete(self, rows: str, paths: Collection[str]) -> None:
        self._warehouse.execute(f"delete from {rows} source_path in (select unnest(?::varchar[]))", [sorted(paths)])
