"""Compressed streams: packed bytes in, bytes out; and what a damaged or a greedy one says."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import pytest
from backports import zstd

from etl.ingest.formats.packing import WindowError, unpack

WINDOW = 128 << 20
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstd.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
DAMAGED = (EOFError, OSError, zstd.ZstdError, lzma.LZMAError)
TEXT = b"".join(b"%d\n" % number for number in range(500_000))


def unpacked(packed: bytes, packing: str | None, window: int = WINDOW) -> bytes:
    """Return all bytes of a stream, read as lines are read."""
    stream = unpack(io.BufferedReader(io.BytesIO(packed)), packing, window)  # type: ignore[arg-type]
    return b"".join(iter(lambda: stream.read1(1 << 20), b""))


@pytest.mark.parametrize("packing", [None, *PACK])
def test_bytes_come_back(packing: str | None) -> None:
    """What was packed is what is unpacked: nothing, a little, and several streams one after another."""
    pack = PACK[packing] if packing else bytes
    assert unpacked(pack(b""), packing) == b""
    assert unpacked(pack(TEXT), packing) == TEXT
    assert unpacked(pack(b"a\n") + pack(b"") + pack(TEXT), packing) == b"a\n" + TEXT
    assert unpacked(b"", packing) == b""


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("damage", ["cut", "garbage behind", "garbage", "a second stream cut"])
def test_a_damaged_stream_is_an_error(packing: str, damage: str) -> None:
    """A stream that is cut off, is none, or has something behind it is an error, and never a shorter text."""
    packed = PACK[packing](TEXT)
    damaged = {
        "cut": packed[:-5],
        "garbage behind": packed + b"garbage",
        "garbage": b"garbage" * 9,
        "a second stream cut": packed + packed[:-5],
    }
    with pytest.raises(DAMAGED):
        unpacked(damaged[damage], packing)


def test_zeros_between_streams_of_xz() -> None:
    """The format of xz allows zeros after each stream."""
    assert unpacked(lzma.compress(b"a") + b"\0" * 8 + lzma.compress(b"b") + b"\0" * 4, "xz") == b"ab"


def packed_with_window(packing: str, log: int) -> bytes:
    """Return a text packed with a window of two to this power."""
    if packing == "xz":
        return lzma.compress(TEXT, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << log}])
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    return packer.compress(TEXT) + packer.flush()


@pytest.mark.parametrize("packing", ["zst", "xz"])
def test_a_window_over_the_setting_is_refused(packing: str) -> None:
    """A stream within the bound is read; one above it is an error of its own, also where it comes second."""
    assert unpacked(packed_with_window(packing, 24), packing, window=1 << 24) == TEXT
    sentence = r"^it needs a window of more than 8388608 bytes to be unpacked \(setting max_window_bytes\)$"
    with pytest.raises(WindowError, match=sentence):
        unpacked(packed_with_window(packing, 24), packing, window=1 << 23)
    with pytest.raises(WindowError):
        unpacked(packed_with_window(packing, 20) + packed_with_window(packing, 24), packing, window=1 << 23)
