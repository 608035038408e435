"""Reads files of evidence, byte for byte, unpacked as their names say; and the lines in them."""

import hashlib
import io
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from backports import zstd

from etl.base.settings import Settings
from etl.base.signals import stop_if_told
from etl.context import EvidenceFile
from etl.ingest.formats.archives import RATIO_COUNTS_FROM, ArchiveError
from etl.ingest.formats.packing import CHUNK, WindowError, unpack
from etl.ingest.formats.strict_json import Refusal


class LongLine(NamedTuple):
    """A line over the limit: where it starts in the (unpacked) stream, its length and its hash, but not its bytes."""

    offset: int
    length: int
    sha256: str


class Blank(NamedTuple):
    """So many lines, one after another, that are blank."""

    lines: int


class Tail(NamedTuple):
    """The bytes after the last whole line of a stream that ended badly, and why it did."""

    content: bytes
    refusal: Refusal


#: What is read at once: whole lines with their line feeds, lines without, or what stands for some.
Read = bytes | list[bytes] | Blank | LongLine | Tail

#: A line of at most so many bytes that two chunks share is joined to those that follow it.
_SHORT = 64 << 10

#: Many short blank lines, one after another: they are counted, and do not become objects.
_BLANK_CHARACTERS = 16
_BLANK_LINES = re.compile(rb"(?:^|(?<=\n))(?:[ \t\r]{0,%d}+\n){8,}+" % _BLANK_CHARACTERS)

#: Chunks that have a line feed for each so many bytes, at one of their ends of this length, are looked through for them.
_DENSE = 16
_END_BYTES = 4 << 10


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier run read of a file: how many bytes and their hash, and where its whole lines end.

    ``whole_bytes`` ends after the last line feed; ``whole_lines`` and ``whole_blank`` count the lines up to there, and
    ``whole_nan`` the numbers in them that were read as null.
    """

    bytes: int
    sha256: str
    whole_bytes: int
    whole_lines: int
    whole_blank: int
    whole_nan: int


class HashedFile:
    """A file of evidence that is hashed as it is read from disk: ``sha256`` and ``bytes`` tell what was read so far."""

    def __init__(self, file: EvidenceFile) -> None:
        self.file = file
        self.bytes = 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Sha256 hex of the bytes read so far."""
        return self._hash.hexdigest()

    def begins_with(self, known: Known) -> bool:
        """Return whether the file still begins with the bytes that are known; if so, they count as read."""
        if self.file.packing or self.file.size < known.bytes:
            return False
        with suppress(OSError), self.open() as stream:  # reading will say why it cannot be read
            while self.bytes < known.bytes and stream.read1(min(CHUNK, known.bytes - self.bytes)):
                pass
        if self.sha256 == known.sha256:
            return True
        self._hash, self.bytes = hashlib.sha256(), 0
        return False

    def skim(self) -> None:
        """Read all bytes, as they are on disk, for their hash alone. Raises OSError."""
        with self.open() as stream:
            while stream.read1(CHUNK):
                pass

    def take(self, offset: int, chunk: memoryview) -> None:
        """Count and hash bytes that came from a place on disk, but for those that were hashed before."""
        stop_if_told()
        self._hash.update(chunk[max(self.bytes - offset, 0) :])
        self.bytes = max(self.bytes, offset + len(chunk))

    def open(self) -> io.BufferedReader:
        """Open the file. Raises OSError where it must not be read, or cannot be."""
        if self.file.problem:
            raise OSError(0, self.file.problem)
        if not self.file.path.is_file():
            raise OSError(0, _why_not_a_file(self.file.path))
        return io.BufferedReader(_Watched(self.file.path, self), CHUNK)


class Unpacking:
    """The chunks of a stream of bytes, unpacked; ``packed_bytes`` says how many bytes of the stream were read so far.

    Raises CorruptError where the stream ends badly or unpacks to more than it may, OSError where the disk fails.
    """

    def __init__(
        self, stream: io.BufferedReader, packing: str | None, settings: Settings, packed_bytes: Callable[[], int]
    ) -> None:
        self._stream = unpack(stream, packing, settings.max_window_bytes)
        self._packing = packing
        self._settings = settings
        self._packed_bytes = packed_bytes

    def __iter__(self) -> Iterator[bytes]:
        unpacked = 0
        try:
            # read1 returns what it unpacked before the end of a broken stream; read would drop it
            while chunk := self._stream.read1(CHUNK):
                unpacked += len(chunk)
                self._require_within_limits(unpacked)
                yield chunk
        except WindowError as error:
            raise CorruptError("too_large", str(error)) from None
        except ArchiveError as error:
            raise CorruptError(error.refusal.reason, error.refusal.detail) from None
        except (EOFError, zlib.error, zstd.ZstdError, lzma.LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk failed; a stream that is damaged has no number
            raise _corrupt(str(error)) from None
        if self._packing and self._packed_bytes() == 0:  # it would count as an empty stream
            raise _corrupt("it has no byte")

    def _require_within_limits(self, unpacked: int) -> None:
        most, ratio = self._settings.max_unpacked_bytes, self._settings.max_unpack_ratio
        if self._packing and unpacked > most:
            raise _corrupt(f"it unpacks to more than {most} bytes (setting max_unpacked_bytes)")
        if self._packing and unpacked > max(RATIO_COUNTS_FROM, ratio * self._packed_bytes()):
            raise _corrupt(f"it unpacks to more than {ratio} times its size (setting max_unpack_ratio)")


class CorruptError(Exception):
    """A stream of bytes that ends badly, or unpacks to more than it may; ``refusal`` says why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(reason, detail)


def _corrupt(what: str) -> CorruptError:
    return CorruptError("corrupt_stream", f"the compressed stream ends badly: {what}")


class Lines:
    """The lines of chunks of bytes; ``whole_bytes`` tells where the last line feed ended."""

    def __init__(self, chunks: Iterable[bytes], max_line_bytes: int, whole_bytes: int = 0) -> None:
        self._chunks = chunks
        self._limit = max_line_bytes
        self.whole_bytes = whole_bytes

    def __iter__(self) -> Iterator[Read]:
        """Yield the lines in order, several at once where they were read at once."""
        line = _Line(self._limit)
        try:
            for chunk in self._chunks:
                if not (first_end := chunk.find(b"\n") + 1):
                    line.add(chunk)
                    continue
                line.add(chunk[: first_end - 1])
                last_start = chunk.rfind(b"\n") + 1
                if line.length <= min(_SHORT, self._limit):
                    yield from self._whole(line.content() + chunk[first_end - 1 : last_start])
                else:
                    yield self._end(line)
                    yield from self._whole(chunk[first_end:last_start])
                line = _Line(self._limit, chunk[last_start:])
        except CorruptError as error:
            yield Tail(line.content(), error.refusal)
        else:
            if line.length:
                yield line.read(self.whole_bytes)

    def _whole(self, lines: bytes) -> Iterator[Read]:
        """Yield lines that were read whole, with their line feeds."""
        done, is_dense = 0, _is_dense(lines[:_END_BYTES]) or _is_dense(lines[-_END_BYTES:])
        if is_dense and len(lines) <= self._limit and not lines.translate(None, b" \t\r\n"):
            self.whole_bytes += len(lines)
            yield Blank(lines.count(b"\n"))
            return
        if is_dense and self._limit >= _BLANK_CHARACTERS:
            for run in _BLANK_LINES.finditer(lines):
                yield from self._pass(lines[done : run.start()])
                done = run.end()
                self.whole_bytes += done - run.start()
                yield Blank(lines.count(b"\n", run.start(), done))
        yield from self._pass(lines[done:])

    def _end(self, line: "_Line") -> list[bytes] | LongLine:
        offset = self.whole_bytes
        self.whole_bytes += line.length + 1
        return line.read(offset)

    def _pass(self, content: bytes) -> Iterator[Read]:
        """Yield lines as they are, all at once where each is within the limit."""
        if content and len(content) <= self._limit:
            self.whole_bytes += len(content)
            yield content
            return
        lines = split(content)
        if lines and max(map(len, lines)) <= self._limit:
            self.whole_bytes += len(content)
            yield lines
        else:
            for line in lines:
                yield self._end(_Line(self._limit, line))


def _is_dense(lines: bytes) -> bool:
    return lines.count(b"\n") * _DENSE > len(lines) > _DENSE


def split(lines: bytes) -> list[bytes]:
    """Return whole lines without their line feeds."""
    return lines.split(b"\n")[:-1]  # nothing stands behind the last line feed


class LineReader(HashedFile):
    """Reads the lines of one file, unpacking it as its name says, and hashes the file's own bytes on the way.

    After the iteration, ``sha256`` and ``bytes`` tell what was read from disk, and ``whole_bytes`` where the last line
    feed ended. Raises OSError where reading fails.
    """

    def __init__(self, file: EvidenceFile, settings: Settings) -> None:
        super().__init__(file)
        self._settings = settings
        self.whole_bytes = 0

    def goes_on_from(self, known: Known) -> bool:
        """Return whether the file still begins with the bytes that are known; if so, only the lines after them are read."""
        if not self.begins_with(known):
            return False
        self.whole_bytes = known.whole_bytes
        return True

    def __iter__(self) -> Iterator[Read]:
        """Yield the lines in order, several at once where they were read at once."""
        with self.open() as stream:
            stream.seek(self.whole_bytes)
            chunks = Unpacking(stream, self.file.packing, self._settings, lambda: self.bytes)
            lines = Lines(chunks, self._settings.max_line_bytes, self.whole_bytes)
            for read in lines:
                self.whole_bytes = lines.whole_bytes
                yield read
            while stream.read1(CHUNK):  # what a broken stream left unread
                pass


class _Line:
    """A line that is being read: its bytes up to the limit, beyond that only its length and hash."""

    def __init__(self, limit: int, start: bytes = b"") -> None:
        self._limit = limit
        self._parts = io.BytesIO()
        self._hash: hashlib._Hash | None = None
        self.length = 0
        self.add(start)

    def add(self, part: bytes) -> None:
        self.length += len(part)
        if self._hash:
            self._hash.update(part)
        elif self.length <= self._limit:
            self._parts.write(part)
        else:
            self._hash = hashlib.sha256(self.content() + part)
            self._parts = io.BytesIO()

    def content(self) -> bytes:
        return self._parts.getvalue()

    def read(self, offset: int) -> list[bytes] | LongLine:
        return LongLine(offset, self.length, self._hash.hexdigest()) if self._hash else [self.content()]


class _Watched(io.FileIO):
    """A file that hands what is read of it to its reader."""

    def __init__(self, path: Path, reader: HashedFile) -> None:
        super().__init__(path)
        self._reader = reader

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        offset = self.tell()
        length = super().readinto(buffer)
        self._reader.take(offset, memoryview(buffer)[:length])
        return length


def _why_not_a_file(path: Path) -> str:
    if not path.exists():
        return "it leads nowhere"
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        return "the folder cannot be read"
    return "it is not a regular file"
