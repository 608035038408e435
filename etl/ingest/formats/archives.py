"""The members of a zip archive (``.zip``, ``.eval``), as named streams of bytes. Nothing is written to disk.

What the directory of an archive says is checked before a member is read: how many there are, what they unpack to, that none
lies in another, and that each has a name of its own, which stays within the archive. While a member is read, it is held to what
the directory says of it.
"""

import io
import re
import stat
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import BinaryIO, cast

from backports.zstd import ZstdError, zipfile

from etl.ingest.formats.packing import CHUNK, Unpacked, WindowError, unpack
from etl.ingest.formats.strict_json import Refusal

#: Up to so many unpacked bytes the ratio of an archive does not count.
RATIO_COUNTS_FROM = 16 << 20

#: The directory of an archive is read as a whole: it may have so many bytes for each member, or so many at all.
_DIRECTORY_BYTES_PER_MEMBER = 1 << 10
_DIRECTORY_BYTES = 1 << 20

_ENTRY = b"PK\x01\x02"
_HEADER_BYTES = 30
_ENCRYPTED, _PATCHED, _STRONGLY_ENCRYPTED = 0x1, 0x20, 0x40

#: How a member may be packed, by the number of the method.
_METHODS = {0: None, 8: "deflate", 93: "zst"}

_DRIVE = re.compile("[A-Za-z]:")
#: What reading an archive can raise. zipfile raises NotImplementedError for a member of a method or version it does not know.
_DAMAGE = (zipfile.BadZipFile, ZstdError, zlib.error, EOFError, NotImplementedError)


class ArchiveError(Exception):
    """An archive, or a member of it, cannot be read; ``refusal`` says why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(reason, detail)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive is held to: settings of these names."""

    max_members: int
    max_unpacked_bytes: int
    max_unpack_ratio: int
    max_window_bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its name there, how many bytes it says that it has, and why it must not be read, if so.

    ``open`` gives its bytes. It raises ArchiveError, and so does reading, where the member is damaged or holds something else
    than its archive says (corrupt_stream), or needs too much memory to be unpacked (too_large).
    """

    name: str
    size: int
    problem: Refusal | None
    open: Callable[[], io.BufferedReader]


@contextmanager
def members_of(archive: BinaryIO, limits: ArchiveLimits) -> Iterator[list[Member]]:
    """Give the members of an archive, sorted by name; they can be read until the end of the context. Folders are no members.

    Members with the same name are one that must not be read. Raises ArchiveError where nothing can be taken of the archive:
    unreadable_file where it is none, is cut off or has members that lie in each other; too_large where it is over a limit.
    """
    size = archive.seek(0, io.SEEK_END)
    with _opened(archive, limits.max_members) as opened:
        infos = opened.infolist()
        _require_apart(infos, opened.start_dir)
        _require_within_limits(infos, size, limits)
        named: dict[str, list[zipfile.ZipInfo]] = {}
        for info in infos:
            if not (info.filename.endswith("/") and info.file_size == 0):
                named.setdefault(_name_of(info), []).append(info)
        yield [_member(opened, name, named[name], limits) for name in sorted(named)]


@contextmanager
def _opened(archive: BinaryIO, max_members: int) -> Iterator[zipfile.ZipFile]:
    directory = _Directory(archive, max_members)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is judged here
            opened = zipfile.ZipFile(cast("BinaryIO", directory))
    except (*_DAMAGE, UnicodeDecodeError, ValueError, OverflowError) as error:
        what = "a name in it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it is none, or is cut off or damaged"
        raise ArchiveError("unreadable_file", f"it cannot be read as a zip archive: {what}") from None
    with opened:
        directory.is_read = True
        yield opened


class _Directory:
    """An archive while its directory is read: refuses one that is too long before it becomes objects."""

    def __init__(self, archive: BinaryIO, max_members: int) -> None:
        self._archive = archive
        self._max_members = max_members
        self.is_read = False
        self.seek, self.tell, self.seekable = archive.seek, archive.tell, archive.seekable

    def read(self, length: int = -1) -> bytes:
        if self.is_read:
            return self._archive.read(length)
        most = max(_DIRECTORY_BYTES, _DIRECTORY_BYTES_PER_MEMBER * self._max_members)
        content = self._archive.read(min(length, most + 1) if length >= 0 else most + 1)
        if len(content) > most or content.count(_ENTRY) > self._max_members:
            raise ArchiveError("too_large", f"it has more than {self._max_members} members (setting max_members)")
        return content


def _require_apart(infos: list[zipfile.ZipInfo], directory_at: int) -> None:
    """Require that no member begins before the one before it ends, as in archives that unpack to more than any disk holds."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise ArchiveError("unreadable_file", "its members overlap, as those of a zip bomb do")
        end = info.header_offset + _HEADER_BYTES + info.compress_size
    if end > directory_at:
        raise ArchiveError("unreadable_file", "its members reach into its directory: it is damaged")


def _require_within_limits(infos: list[zipfile.ZipInfo], size: int, limits: ArchiveLimits) -> None:
    unpacked, ratio = sum(info.file_size for info in infos), limits.max_unpack_ratio
    if len(infos) > limits.max_members:
        raise ArchiveError("too_large", f"it has more than {limits.max_members} members (setting max_members)")
    if unpacked > limits.max_unpacked_bytes:
        detail = f"it unpacks to more than {limits.max_unpacked_bytes} bytes (setting max_unpacked_bytes)"
        raise ArchiveError("too_large", detail)
    if unpacked > max(RATIO_COUNTS_FROM, ratio * size):
        raise ArchiveError("too_large", f"it unpacks to more than {ratio} times its size (setting max_unpack_ratio)")


def _name_of(info: zipfile.ZipInfo) -> str:
    """Return the name by which a member is known: without parts that mean nothing; of a bad name, all that it has, escaped."""
    if _why_bad_name(info):
        return _whole_name(info).encode("unicode_escape").decode()
    return "/".join(part for part in info.filename.split("/") if part not in {"", "."})


def _whole_name(info: zipfile.ZipInfo) -> str:
    """Return the name with what stands behind a NUL in it."""
    return info.orig_filename if "\0" in info.orig_filename else info.filename


def _why_bad_name(info: zipfile.ZipInfo) -> str | None:
    name = _whole_name(info)
    if "\0" in name:
        return "has a NUL in it"
    if "\\" in name:
        return "has a backslash in it"
    if name.startswith("/") or _DRIVE.match(name):
        return "begins at a root or a drive"
    if ".." in name.split("/"):
        return "leads out of a folder"
    return None if set(name.split("/")) - {"", "."} else "is empty"


def _member(opened: zipfile.ZipFile, name: str, infos: list[zipfile.ZipInfo], limits: ArchiveLimits) -> Member:
    info = infos[0]
    why = _why_not(info) if len(infos) == 1 else f"{len(infos)} members of the archive have this name"
    problem = Refusal("unreadable_file", why) if why else None
    return Member(name, info.file_size, problem, lambda: _open(opened, info, limits.max_window_bytes))


def _why_not(info: zipfile.ZipInfo) -> str | None:
    """Return why a member must not be read, if so."""
    if why := _why_bad_name(info):
        return f"its name {why}; pack the archive again with names below its root"
    if info.flag_bits & (_ENCRYPTED | _STRONGLY_ENCRYPTED):
        return "it is encrypted; pack the archive again without a password"
    if info.flag_bits & _PATCHED or info.compress_type not in _METHODS:
        return f"it is packed by method {info.compress_type}; pack the archive again with deflate or zstd"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link; put the file itself into the archive"
    return "it is a folder with bytes of its own" if info.filename.endswith("/") else None


def _open(opened: zipfile.ZipFile, info: zipfile.ZipInfo, max_window_bytes: int) -> io.BufferedReader:
    # as if it were stored, so that it comes packed: the library cannot bound the window of zstd
    packed = copy(info)
    packed.compress_type, packed.file_size, packed.CRC = zipfile.ZIP_STORED, info.compress_size, None  # type: ignore[assignment]
    try:
        stream = cast("io.BufferedReader", opened.open(packed))
    except (*_DAMAGE, UnicodeDecodeError):
        raise ArchiveError("corrupt_stream", "its header is damaged, or is not what the archive's directory says") from None
    return io.BufferedReader(_Content(unpack(stream, _METHODS[info.compress_type], max_window_bytes), info), CHUNK)


class _Content(io.RawIOBase):
    """The bytes of a member, held to the length and the checksum that the directory has."""

    def __init__(self, stream: Unpacked, info: zipfile.ZipInfo) -> None:
        self._stream = stream
        self._left = info.file_size
        self._size = info.file_size
        self._wanted = info.CRC
        self._checksum = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read what one read gives into a buffer, and return how many bytes that are; 0 at the end."""
        try:
            # one byte more than it may have, so that the end is seen
            content = self._stream.read1(min(len(buffer), self._left + 1))
        except WindowError as error:
            raise ArchiveError("too_large", str(error)) from None
        except _DAMAGE as error:
            raise ArchiveError("corrupt_stream", f"the compressed stream ends badly: {error}") from None
        self._left -= len(content)
        self._checksum = zlib.crc32(content, self._checksum)
        if self._left < 0:
            raise ArchiveError("corrupt_stream", f"it has more than the {self._size} bytes that the archive's directory says")
        if not content and self._left:
            raise ArchiveError("corrupt_stream", f"it has fewer than the {self._size} bytes that the archive's directory says")
        if not content and self._checksum != self._wanted:
            raise ArchiveError("corrupt_stream", "its checksum is not the one that the archive's directory has")
        buffer[: len(content)] = content
        return len(content)
