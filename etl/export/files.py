"""The files of an export for a trainer: lines of JSON, or Parquet, cut in pieces where they are large."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.json import encode

from etl.base.errors import UsageError
from etl.base.files import sha256_of
from etl.export.formats.format import Format, Line, Object, Piece, Row
from etl.export.writer import ROWS_PER_GROUP, ZSTD_LEVEL

#: Rows of about so many bytes of JSON become a row group of a Parquet file.
BYTES_PER_GROUP = 32 << 20

#: In which order lines stand in a file: those with a key that no line before them has, those with calls of tools, the others.
ORDER = ("new_keys", "calls", "texts")


class Files:
    """The files of an export, in a folder, as a format wants them."""

    def __init__(self, folder: Path, form: Format) -> None:
        self._folder, self._form = folder, form
        self._files: dict[str, _File] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, line: Line, row: Row | None = None, schema: pa.Schema | None = None) -> None:
        """Add a line to its file, and the row that it is from to the file below ids/; with a ``schema`` they are Parquet files.

        Raises UsageError where one line is larger than the trainer takes a file.
        """
        if line.file not in self._files:
            path = self._folder / line.file
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[line.file] = (
                _Lines(path, self._form, self._open) if schema is None else _Rows(path, self._form, self._open, schema)
            )
        origin = encode({"id": row["id"], "provenance": row["provenance"]}) + b"\n" if row and self._form.ids else b""
        self._files[line.file].add(line, origin)

    def close(self) -> list[Piece]:
        """Finish the files, and return their pieces."""
        return [piece for file, made in self._files.items() for piece in self._place(file, made.finish())]

    def _place(self, file: str, parts: "list[_Part]") -> Iterator[Piece]:
        """Give the pieces of a file, and of its ids, their names."""
        for number, part in enumerate(parts):
            path = self._form.piece(file, number, len(parts))
            whole, ids = self._folder / path, (self._folder / "ids" / path).with_suffix(".jsonl")
            part.path.replace(whole)
            if part.ids:
                ids.parent.mkdir(parents=True, exist_ok=True)
                part.ids.replace(ids)
            yield Piece(file, path, part.lines, whole.stat().st_size, sha256_of(whole))


class _Out(Protocol):
    """What a piece is written to."""

    def write(self, content: Any) -> object: ...

    def close(self) -> None: ...


class _Part:
    """A piece of a file while it is written; and the ids of its lines, unless the trainer's files have them."""

    def __init__(self, path: Path, out: _Out, has_ids: bool, opened: ExitStack) -> None:
        self.path = path
        self.ids = path.with_name(f"{path.name}.ids") if has_ids else None
        self.lines = self.bytes = 0
        self._out = out
        self._ids = opened.enter_context(self.ids.open("wb")) if self.ids else None
        opened.callback(out.close)

    def write(self, content: Any, size: int, lines: int, origins: bytes) -> None:
        self._out.write(content)
        if self._ids:
            self._ids.write(origins)
        self.lines += lines
        self.bytes += size

    def close(self) -> None:
        self._out.close()
        if self._ids:
            self._ids.close()


class _Parts:
    """The pieces of a file, one after the other: each of at most so many bytes as the trainer takes."""

    def __init__(self, path: Path, form: Format, opened: ExitStack, open_piece: Callable[[Path], _Out]) -> None:
        self._path, self._form, self._opened, self._open_piece = path, form, opened, open_piece
        self._parts: list[_Part] = []

    def write(self, content: Any, size: int, lines: int, origins: bytes) -> None:
        most = self._form.most_bytes
        if not self._parts or (most is not None and self._parts[-1].bytes + size > most):
            self.close()
            path = self._path.with_name(f".{self._path.name}.{len(self._parts)}")
            self._parts.append(_Part(path, self._open_piece(path), self._form.ids, self._opened))
        self._parts[-1].write(content, size, lines, origins)

    def close(self) -> list[_Part]:
        if self._parts:
            self._parts[-1].close()
        return self._parts


class _File(ABC):
    """A file of an export, while lines are added to it."""

    @abstractmethod
    def add(self, line: Line, origin: bytes) -> None: ...

    @abstractmethod
    def finish(self) -> list[_Part]: ...


class _Lines(_File):
    """Lines of JSON, in ``ORDER``.

    A reader of JSON Lines takes the types of the first ten megabytes for those of the whole file, and fails where a key comes
    later.
    """

    def __init__(self, path: Path, form: Format, opened: ExitStack) -> None:
        self._most_bytes = form.most_bytes
        self._parts = _Parts(path, form, opened, lambda piece: piece.open("wb"))
        self._keys: set[str] = set()
        self._kinds: dict[str, tuple[BinaryIO, BinaryIO]] = {
            kind: (
                opened.enter_context(path.with_name(f".{path.name}.{kind}").open("w+b")),
                opened.enter_context(path.with_name(f".{path.name}.{kind}.ids").open("w+b")),
            )
            for kind in ORDER
        }

    def add(self, line: Line, origin: bytes) -> None:
        content = encode(line.content) + b"\n"
        if self._most_bytes is not None and len(content) > self._most_bytes:
            raise UsageError(
                f"{line.file}: a line would have {len(content):,} bytes, and the trainer takes files of {self._most_bytes:,}; "
                "leave it out with --max-chars."
            )
        keys = {*_keys_of(line.content)}
        kind = "new_keys" if keys - self._keys else "calls" if line.calls else "texts"
        self._keys |= keys
        for file, what in zip(self._kinds[kind], (content, origin), strict=True):
            file.write(what)

    def finish(self) -> list[_Part]:
        for lines, ids in self._kinds.values():
            lines.seek(0)
            ids.seek(0)
            for content in lines:
                self._parts.write(content, len(content), 1, ids.readline())
            for file in (lines, ids):
                file.close()
                Path(file.name).unlink()
        return self._parts.close()


def _keys_of(value: object, path: str = "") -> Iterator[str]:
    """Yield the paths of the keys of a line; what stands in arguments and in tools is text, or bytes of JSON, here."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}/{key}"
            yield from _keys_of(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _keys_of(inner, path)


class _Rows(_File):
    """Rows of Parquet, a row group at a time."""

    def __init__(self, path: Path, form: Format, opened: ExitStack, schema: pa.Schema) -> None:
        self._parts = _Parts(path, form, opened, lambda piece: _Groups(piece, schema))
        self._rows: list[Object] = []
        self._origins: list[bytes] = []
        self._bytes = 0

    def add(self, line: Line, origin: bytes) -> None:
        self._rows.append(line.content)
        self._origins.append(origin)
        self._bytes += len(encode(line.content))
        if len(self._rows) == ROWS_PER_GROUP or self._bytes > BYTES_PER_GROUP:
            self._flush()

    def finish(self) -> list[_Part]:
        if self._rows:
            self._flush()
        return self._parts.close()

    def _flush(self) -> None:
        self._parts.write(self._rows, self._bytes, len(self._rows), b"".join(self._origins))
        self._rows, self._origins, self._bytes = [], [], 0


class _Groups:
    """A Parquet file, to which lists of rows are written as row groups."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._file = pq.ParquetWriter(path, schema, compression="zstd", compression_level=ZSTD_LEVEL)

    def write(self, rows: list[Object]) -> None:
        stored = pa.schema([pa.field(field.name, _stored_as(field.type)) for field in self._schema])
        self._file.write_table(pa.Table.from_pylist(rows, stored).cast(self._schema), ROWS_PER_GROUP)

    def close(self) -> None:
        self._file.close()


def _stored_as(kind: pa.DataType) -> pa.DataType:
    """Return the type of the Python values of a column: text where it is JSON by name."""
    if isinstance(kind, pa.ListType):
        return pa.list_(_stored_as(kind.value_type))
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
