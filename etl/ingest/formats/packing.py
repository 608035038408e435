"""Unpacks a compressed stream, of a file or of a member of an archive, with bounds on the memory that unpacking takes."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

from backports import zstd

CHUNK = 1 << 20

#: What xz needs beside its window.
_XZ_OVERHEAD = 1 << 20

Unpacked = io.BufferedReader | gzip.GzipFile


class WindowError(Exception):
    """A stream that needs more memory to be unpacked than it may have; the text says which setting allows more."""


class _Decompressor(Protocol):
    """What unpacks one stream of those that a file holds one after another."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Inflate:
    """Unpacks deflate, as archives have it, without a header."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


class _Format(NamedTuple):
    """How one format is unpacked: with at most so many bytes for the window, and what may stand between its streams."""

    begin: Callable[[int], _Decompressor]
    padding: bytes = b""


def unpack(stream: io.BufferedReader, packing: str | None, max_window_bytes: int) -> Unpacked:
    """Return a stream of unpacked bytes; ``packing`` is gz, zst, bz2, xz, deflate (in archives), or None for bytes as they are.

    Reading raises WindowError where a zst or xz stream needs a larger window; zlib.error, ZstdError, LZMAError, EOFError, or an
    OSError without a number, where the stream is damaged, cut off, or followed by something else.
    """
    if packing is None:
        return stream
    if packing == "gz":
        return gzip.GzipFile(fileobj=stream)
    return io.BufferedReader(_Streams(stream, _FORMATS[packing], max_window_bytes), CHUNK)


def _zstd_decompressor(max_window_bytes: int) -> zstd.ZstdDecompressor:
    """Return what unpacks one frame of zstd; a window is a power of two, so the bound is the one at or below this."""
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: max_window_bytes.bit_length() - 1})


def _require_window(error: Exception, max_window_bytes: int) -> None:
    """Raise WindowError where a decompressor's error says that the window is over the bound; it has no type of its own."""
    if "requires too much memory" in str(error) or "Memory usage limit" in str(error):
        detail = f"it needs a window of more than {max_window_bytes} bytes to be unpacked (setting max_window_bytes)"
        raise WindowError(detail) from None


class _Streams(io.RawIOBase):
    """The unpacked bytes of compressed streams that stand one after another."""

    def __init__(self, packed: io.BufferedReader, form: _Format, max_window_bytes: int) -> None:
        self._packed = packed
        self._format = form
        self._max_window_bytes = max_window_bytes
        self._current: _Decompressor | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Unpack into a buffer what one read gives, and return how many bytes that are; 0 at the end."""
        try:
            content = self._unpack(len(buffer))
        except (zstd.ZstdError, lzma.LZMAError) as error:
            _require_window(error, self._max_window_bytes)
            raise
        buffer[: len(content)] = content
        return len(content)

    def _unpack(self, length: int) -> bytes:
        while True:
            given = b""
            if self._current is None or self._current.eof:
                given = self._start_of_next()
                if not given:
                    return b""
                self._current = self._format.begin(self._max_window_bytes)
            elif self._current.needs_input:
                given = self._packed.read1(CHUNK)
                if not given:
                    raise EOFError("it is cut off")
            if content := self._current.decompress(given, length):
                return content

    def _start_of_next(self) -> bytes:
        """Return the first bytes of the next stream, or none at the end of the file."""
        rest = self._current.unused_data if self._current else b""
        while not (start := rest.lstrip(self._format.padding) if self._current else rest):
            rest = self._packed.read1(CHUNK)
            if not rest:
                return b""
        return start


_FORMATS = {
    "zst": _Format(_zstd_decompressor),
    "deflate": _Format(lambda _: _Inflate()),
    "bz2": _Format(lambda _: bz2.BZ2Decompressor()),
    "xz": _Format(lambda window: lzma.LZMADecompressor(memlimit=window + _XZ_OVERHEAD), padding=b"\0"),
}
