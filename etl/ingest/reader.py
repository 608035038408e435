"""Reads the lines of a file of evidence, byte for byte, unpacked as its name says."""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from backports import zstd

from etl.base.signals import stop_if_told
from etl.context import EvidenceFile

CHUNK = 1 << 20

#: Up to so many unpacked bytes the ratio of a compressed file does not count.
RATIO_COUNTS_FROM = 16 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one line, and one compressed file, may hold.

    A file that unpacks to more than ``ratio`` times the bytes read of it, or to more than ``unpacked_bytes``, is cut off.
    """

    line_bytes: int
    unpacked_bytes: int
    ratio: int


class LongLine(NamedTuple):
    """A line over the limit: where it starts in the (unpacked) stream, its length and its hash, but not its bytes."""

    offset: int
    length: int
    sha256: str


class Tail(NamedTuple):
    """The bytes after the last whole line of a compressed stream that ended badly, and why it did."""

    content: bytes
    detail: str


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier run read of a file: how many bytes and their hash, and where its whole lines end.

    ``whole_bytes`` ends after the last line feed; ``whole_lines`` and ``whole_blank`` count the lines up to there.
    """

    bytes: int
    sha256: str
    whole_bytes: int
    whole_lines: int
    whole_blank: int


class LineReader:
    """Reads the lines of one file, unpacking it as its name says, and hashes the file's own bytes on the way.

    After the iteration, ``sha256`` and ``bytes`` tell what was read from disk, and ``whole_bytes`` where the last line
    feed ended. Raises OSError where reading fails.
    """

    def __init__(self, file: EvidenceFile, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._hash = hashlib.sha256()
        self.bytes = 0
        self.whole_bytes = 0

    @property
    def sha256(self) -> str:
        """Sha256 hex of the bytes read so far."""
        return self._hash.hexdigest()

    def goes_on_from(self, known: Known) -> bool:
        """Return whether the file still begins with the bytes that are known; if so, only the lines after them are read."""
        if self._file.is_packed or self._file.size < known.bytes:
            return False
        begin = hashlib.sha256()
        with self._opened() as raw:
            left = known.bytes
            while left and (chunk := raw.read(min(CHUNK, left))):
                stop_if_told()
                begin.update(chunk)
                left -= len(chunk)
        if begin.hexdigest() != known.sha256:
            return False
        self._hash, self.bytes, self.whole_bytes = begin, known.bytes, known.whole_bytes
        return True

    def __iter__(self) -> Iterator[list[bytes] | LongLine | Tail]:
        """Yield the lines in order, without their line feeds, several at once where they were read at once."""
        with self._opened() as raw:
            raw.seek(self.whole_bytes)
            # what follows the last whole line is read as lines again, but is in the hash already
            tee = _Tee(raw, self, self.bytes - self.whole_bytes)
            yield from self._lines(_unpacked(tee, self._file.source_path))
            while chunk := raw.read(CHUNK):  # what a broken stream left unread
                self.take(chunk)

    def _opened(self) -> IO[bytes]:
        if self._file.problem:
            raise OSError(0, self._file.problem)
        if not self._file.path.is_file():
            raise OSError(0, _why_not_a_file(self._file.path))
        return self._file.path.open("rb", buffering=0)

    def _require_within_limits(self, unpacked: int) -> None:
        if self._file.is_packed:
            if unpacked > self._limits.unpacked_bytes:
                raise _BombError(f"it unpacks to more than {self._limits.unpacked_bytes} bytes (setting max_unpacked_bytes)")
            if unpacked > RATIO_COUNTS_FROM and unpacked > self._limits.ratio * self.bytes:
                raise _BombError(f"it unpacks to more than {self._limits.ratio} times its size (setting max_unpack_ratio)")

    @property
    def _is_empty_gzip(self) -> bool:
        """Whether it is a gzip file without a byte, which Python takes for an empty stream, but which nobody wrote whole."""
        return self._file.source_path.endswith(".gz") and self.bytes == 0

    def take(self, chunk: bytes) -> None:
        """Count and hash bytes that came from disk."""
        stop_if_told()
        self._hash.update(chunk)
        self.bytes += len(chunk)

    def _lines(self, stream: "_Stream") -> Iterator[list[bytes] | LongLine | Tail]:
        pending = _Pending(self._limits.line_bytes, self.whole_bytes)
        unpacked = 0
        try:
            # read1 returns what it unpacked before the end of a broken stream; read would drop it
            while chunk := stream.read1(CHUNK):
                unpacked += len(chunk)
                self._require_within_limits(unpacked)
                first, *others = chunk.split(b"\n")
                pending.add(first)
                if others:
                    *whole, last = others
                    yield pending.line()
                    yield from pending.passed(whole)
                    pending.add(last)
                self.whole_bytes = pending.offset
        except (EOFError, zlib.error, zstd.ZstdError, gzip.BadGzipFile, _BombError) as error:
            yield Tail(pending.content(), f"the compressed stream ends badly: {error}")
        else:
            if self._is_empty_gzip:
                yield Tail(b"", "the compressed stream ends badly: it has no byte")
            elif not pending.is_empty:
                yield pending.line()


class _BombError(Exception):
    """A compressed stream that unpacks to more than it may."""


def _why_not_a_file(path: Path) -> str:
    if not path.exists():
        return "it leads nowhere"
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        return "the folder cannot be read"
    return "it is not a regular file"


class _Pending:
    """The line that is being read: its bytes up to the limit, beyond that only its length and hash."""

    def __init__(self, limit: int, offset: int) -> None:
        self._limit = limit
        self.offset = offset
        self._parts = io.BytesIO()
        self._length = 0
        self._hash: hashlib._Hash | None = None

    @property
    def is_empty(self) -> bool:
        return self._length == 0

    def add(self, part: bytes) -> None:
        self._length += len(part)
        if self._hash:
            self._hash.update(part)
        elif self._length <= self._limit:
            self._parts.write(part)
        else:
            self._hash = hashlib.sha256(self.content() + part)
            self._parts = io.BytesIO()

    def content(self) -> bytes:
        return self._parts.getvalue()

    def passed(self, lines: list[bytes]) -> Iterator[list[bytes] | LongLine]:
        """Yield lines that were read whole, all at once where each is within the limit."""
        if lines and max(map(len, lines)) <= self._limit:
            self.offset += sum(map(len, lines)) + len(lines)
            yield lines
        else:
            for line in lines:
                self.add(line)
                yield self.line()

    def line(self) -> list[bytes] | LongLine:
        """Return the line and begin the next one."""
        line = LongLine(self.offset, self._length, self._hash.hexdigest()) if self._hash else [self.content()]
        self.offset += self._length + 1
        self._parts, self._length, self._hash = io.BytesIO(), 0, None
        return line


class _Stream(Protocol):
    """A stream that lines are read from."""

    def read1(self, size: int, /) -> bytes:
        """Return what is there, up to so many bytes; nothing at the end."""


class _Tee(io.RawIOBase):
    """A file that reports what is read to its reader, but for the first ``known`` bytes, which the reader knows."""

    def __init__(self, raw: IO[bytes], reader: LineReader, known: int) -> None:
        self._raw = raw
        self._reader = reader
        self._known = known

    def readable(self) -> bool:
        return True

    def read1(self, size: int) -> bytes:
        """Read once, up to so many bytes."""
        chunk = self._raw.read(size)
        self._reader.take(chunk[self._known :] if self._known else chunk)
        self._known = max(self._known - len(chunk), 0)
        return chunk

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        chunk = self.read1(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _unpacked(raw: _Tee, name: str) -> _Stream:
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=io.BufferedReader(raw, CHUNK))
    if name.endswith(".zst"):
        return zstd.ZstdFile(io.BufferedReader(raw, CHUNK))
    return raw
