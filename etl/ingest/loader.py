"""Puts rows into the tables evidence.*, and removes those of files that are read again."""

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from etl.base.terminal import short
from etl.warehouse.connection import Warehouse, return_freed_memory
from etl.warehouse.statements import read_sql

#: Records are inserted by row groups of the engine, so that each is compressed once,
ROWS_PER_INSERT = 122_880
#: or sooner, where so many bytes wait.
BYTES_PER_INSERT = 256 << 20

#: Texts of a record that may be long, and above how many bytes they are: then they lie in pieces of so many bytes in a table of
#: their own, because the engine reads 2,048 rows of a column at once.
LONG_TEXTS = ("prompt", "response", "messages", "tools")
CHUNK_BYTES = 32 << 10

#: A skipped item of so many bytes is handed to the engine without a copy,
LONG = 1 << 20
#: and after one of so many, freed memory is returned to the machine.
VERY_LONG = 32 << 20

_SKIPPED = ("source", "source_path", "item_number", "item_sha256", "reason", "detail", "raw")


class Loader:
    """Inserts into evidence.* and deletes from it; ``warehouse`` is a cursor for the thread that does."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._waiting: pa.Table | None = None
        self._had_long_item = False
        self._has_forgotten = False
        self._last_key = warehouse.one(read_sql(__file__, "last_key"))

    def put(self, records: pa.Table | None, skipped: pa.Table) -> None:
        """Insert rows of evidence.skipped, and records, which may wait for others."""
        if skipped.num_rows:
            self._warehouse.insert("evidence.skipped", skipped)
            self._had_long_item |= skipped.nbytes > VERY_LONG
        if records:
            records = self._without_long_texts(self._numbered(records))
            waiting = pa.concat_tables([self._waiting, records]) if self._waiting else records
            while waiting.num_rows >= ROWS_PER_INSERT or waiting.nbytes >= BYTES_PER_INSERT:
                self._insert(waiting)
                waiting = waiting.slice(ROWS_PER_INSERT)
            self._waiting = waiting

    def finish(self, files: list[dict[str, Any]], gone: Collection[str]) -> None:
        """Insert what waits, and the rows of evidence.file, from which those of files that are gone are deleted."""
        if self._waiting:
            self._insert(self._waiting)
        if self._has_forgotten:
            self._warehouse.execute(read_sql(__file__, "forgotten_texts"))
        self._delete("evidence.file where", [*gone, *(file["source_path"] for file in files)])
        if files:
            self._warehouse.insert("evidence.file", pa.Table.from_pylist(files))
        if self._had_long_item:
            return_freed_memory()

    def forget(self, paths: Collection[str], after_item: int = -1) -> None:
        """Delete what came from these files and their members, or from their items after one of this number."""
        for table in ("evidence.stored_record", "evidence.skipped"):
            self._delete(f"{table} where item_number > {after_item} and", paths)
        self._has_forgotten = True

    def forget_source(self, source: str) -> None:
        """Delete all that came from a source, also what waits."""
        if self._waiting:
            self._waiting = self._waiting.filter(pc.not_equal(self._waiting["source"], source))
        for table in ("evidence.stored_record", "evidence.skipped"):
            self._warehouse.execute(f"delete from {table} where source = ?", [source])
        self._has_forgotten = True

    def _numbered(self, records: pa.Table) -> pa.Table:
        first = self._last_key + 1
        self._last_key += records.num_rows
        return records.append_column("record_key", pa.array(range(first, self._last_key + 1), pa.int64()))

    def _without_long_texts(self, records: pa.Table) -> pa.Table:
        """Insert the pieces of long texts, and return the records without these texts."""
        for field in LONG_TEXTS:
            is_long = pc.greater(pc.binary_length(records[field]), CHUNK_BYTES)
            if pc.any(is_long).as_py():
                self._warehouse.insert("evidence.long_text", _chunks(records.filter(is_long), field))
                texts = pc.if_else(is_long, pa.scalar(None, pa.string()), records[field])
                records = records.set_column(records.column_names.index(field), field, texts)
        return records

    def _insert(self, records: pa.Table) -> None:
        # in one chunk, so that one thread of the engine fills one row group
        self._warehouse.insert("evidence.stored_record", records.slice(0, ROWS_PER_INSERT).combine_chunks())

    def _delete(self, rows: str, paths: Collection[str]) -> None:
        of_a_file = "regexp_replace(source_path, '([.](zip|eval))!.*', '\\1', 'is')"
        self._warehouse.execute(f"delete from {rows} {of_a_file} in (select unnest(?::varchar[]))", [sorted(paths)])


def _chunks(records: pa.Table, field: str) -> pa.RecordBatchReader:
    """Return rows of evidence.long_text for a text of these records, a batch for each record."""
    schema = pa.schema({"record_key": pa.int64(), "field": pa.string(), "chunk_number": pa.int64(), "chunk": pa.string()})

    def batches() -> Iterator[pa.RecordBatch]:
        for key, text in zip(records["record_key"], records[field], strict=True):
            chunks = [*_pieces(text.as_buffer().to_pybytes())]
            columns = [[key.as_py()] * len(chunks), [field] * len(chunks), range(1, len(chunks) + 1), chunks]
            yield pa.record_batch([pa.array(column, of.type) for column, of in zip(columns, schema, strict=True)], schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut a text into pieces of at most ``CHUNK_BYTES`` that hold whole characters."""
    start = 0
    while start < len(text):
        end = start + CHUNK_BYTES
        while end < len(text) and text[end] & 0xC0 == 0x80:  # a byte that continues a character
            end -= 1
        yield text[start:end]
        start = end


def skipped_rows(rows: Collection[tuple[Any, ...]]) -> pa.Table:
    """Return rows of evidence.skipped, each a tuple of its columns, as a table."""
    if not rows:
        return pa.table({})
    columns: dict[str, Any] = dict(zip(_SKIPPED, zip(*rows, strict=True), strict=True))
    details = [None if detail is None else short(detail) for detail in columns["detail"]]
    return pa.table(columns | {"detail": pa.array(details, pa.string()), "raw": _as_binary(columns["raw"])})


def _as_binary(values: Iterable[bytes | None]) -> pa.ChunkedArray:
    """Return bytes as an Arrow array; long ones are not copied, because the engine makes copies of its own."""
    chunks: list[pa.Array] = []
    for is_long, group in groupby(values, key=lambda value: len(value or b"") >= LONG):
        if is_long:
            chunks += [_lend(value or b"") for value in group]
        else:
            copied = pa.table([pa.array(list(group), pa.binary())], ["raw"])
            chunks += copied["raw"].chunks  # several, above 2 GiB
    return pa.chunked_array(chunks, pa.binary())


def _lend(value: bytes) -> pa.BinaryArray:
    """Return an array of these bytes that does not copy them."""
    ends = pa.array([0, len(value)], pa.int32()).buffers()[1]
    return pa.BinaryArray.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(value)])
