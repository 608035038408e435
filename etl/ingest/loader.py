"""Inserts records, skipped lines and files into the tables evidence.*, and deletes those that are gone."""

from collections.abc import Collection

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
        self._waiting: list[pa.Table] = []

    def put(self, records: pa.Table | None, skipped: pa.Table) -> None:
        """Insert rows of evidence.skipped, and rows of evidence.record, which may wait for others."""
        if skipped.num_rows:
            self._warehouse.insert("evidence.skipped", skipped)
        if records is not None:
            self._waiting.append(records)
            while self._rows >= ROWS_PER_INSERT or self._bytes >= BYTES_PER_INSERT:
                self._insert(ROWS_PER_INSERT)

    def finish(self) -> None:
        """Insert what waits."""
        if self._rows:
            self._insert(self._rows)

    def forget(self, paths: Collection[str], after_line: int = -1) -> None:
        """Delete what came from these files, or from their lines after one of this number."""
        with self._warehouse.lent("paths", pa.table({"source_path": pa.array(sorted(paths), pa.string())})):
            for table in ("evidence.record", "evidence.skipped"):
                self._warehouse.execute(
                    f"delete from {table} where line_number > ? and source_path in (from paths)", [after_line]
                )

    def note(self, files: pa.Table, gone: Collection[str]) -> None:
        """Write down what is known of files now, and delete the rows of files that are gone."""
        stale = pa.table({"source_path": pa.array([*files["source_path"].to_pylist(), *gone], pa.string())})
        with self._warehouse.lent("paths", stale):
            self._warehouse.execute("delete from evidence.file where source_path in (from paths)")
        self._warehouse.insert("evidence.file", files)

    @property
    def _rows(self) -> int:
        return sum(table.num_rows for table in self._waiting)

    @property
    def _bytes(self) -> int:
        return sum(table.nbytes for table in self._waiting)

    def _insert(self, rows: int) -> None:
        waiting = pa.concat_tables(self._waiting)
        # in one chunk, so that one thread of the engine fills one row group
        self._warehouse.insert("evidence.record", waiting.slice(0, rows).combine_chunks())
        self._waiting = [waiting.slice(rows)] if waiting.num_rows > rows else []
