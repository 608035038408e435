"""The members of an archive: a zip file in, named bytes or refusals out."""

import io
import struct
import time
import tracemalloc
import warnings
from dataclasses import replace
from typing import Any

import pytest
from backports import zstd
from backports.zstd import zipfile
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.ingest.formats.archives import ArchiveError, ArchiveLimits, members_of
from etl.ingest.formats.strict_json import Refusal

LIMITS = ArchiveLimits(max_members=1000, max_unpacked_bytes=1 << 30, max_unpack_ratio=1000, max_window_bytes=128 << 20)
STORED, DEFLATED, ZSTD = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_ZSTANDARD


def packed(members: list[tuple[Any, bytes]], method: int = DEFLATED) -> bytes:
    """Return an archive of these members; a name is a text or a ZipInfo."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # names that come twice
        for name, content in members:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo("x")
            if not isinstance(name, zipfile.ZipInfo):
                info.filename, info.compress_type = name, method
            archive.writestr(info, content)
    return file.getvalue()


def all_of(stream: io.BufferedReader) -> bytes:
    """Return what a stream gives, read as lines are read."""
    return b"".join(iter(lambda: stream.read1(1000), b""))


def read(archive: bytes, limits: ArchiveLimits = LIMITS) -> dict[str, bytes | Refusal]:
    """Return what each member holds, or why it cannot be read."""
    found: dict[str, bytes | Refusal] = {}
    with members_of(io.BytesIO(archive), limits) as members:
        for member in members:
            try:
                found[member.name] = member.problem or all_of(member.open())
            except ArchiveError as error:
                found[member.name] = error.refusal
    return found


def refusal(archive: bytes, limits: ArchiveLimits = LIMITS) -> Refusal:
    """Return why an archive is refused as a whole."""
    with pytest.raises(ArchiveError) as error:
        read(archive, limits)
    return error.value.refusal


TEXT = b"".join(b'{"n": %d}\n' % number for number in range(100_000))


@pytest.mark.parametrize("method", [STORED, DEFLATED, ZSTD])
def test_members_come_sorted_with_their_bytes(method: int) -> None:
    """Members of each method, in the order of their names; folders are none; what means nothing in a name is left out."""
    archive = packed([("s/b.json", TEXT), ("s/", b""), ("header.json", b""), ("./s//a.json", b"{}"), ("é", b"1")], method)
    with members_of(io.BytesIO(archive), LIMITS) as members:
        assert [(member.name, member.size) for member in members] == [
            ("header.json", 0),
            ("s/a.json", 2),
            ("s/b.json", len(TEXT)),
            ("é", 1),
        ]
    assert read(archive) == {"header.json": b"", "s/a.json": b"{}", "s/b.json": TEXT, "é": b"1"}
    assert read(b"#!/bin/sh\n" + archive) == read(archive)


def test_zip64() -> None:
    """Members written with the long form of sizes are read."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(TEXT)
    assert read(file.getvalue()) == {"a": TEXT}


@pytest.mark.parametrize(
    ("name", "shown", "why"),
    [
        ("../a", "../a", "leads out of a folder"),
        ("s/../../a", "s/../../a", "leads out of a folder"),
        ("/etc/a", "/etc/a", "begins at a root or a drive"),
        ("C:/a", "C:/a", "begins at a root or a drive"),
        ("s\\a", r"s\\a", "has a backslash in it"),
        ("a\0b.json", r"a\x00b.json", "has a NUL in it"),
        ("./.", "./.", "is empty"),
    ],
)
def test_a_bad_name_is_refused(name: str, shown: str, why: str) -> None:
    """A member whose name leads elsewhere is not read; the others are."""
    refused = Refusal("unreadable_file", f"its name {why}; pack the archive again with names below its root")
    assert read(packed([(name, b"bad"), ("good", b"good")])) == {shown: refused, "good": b"good"}


def test_a_name_twice_is_refused() -> None:
    """Members of one name, also where it is written in two ways, are one entry: nobody knows which one counts."""
    refused = Refusal("unreadable_file", "2 members of the archive have this name")
    assert read(packed([("a", b"1"), ("a", b"2"), ("s/b", b"3"), ("s/./b", b"4"), ("c", b"5")])) == {
        "a": refused,
        "s/b": refused,
        "c": b"5",
    }


def changed(archive: bytes, *, flags: int | None = None, method: int | None = None, **fields: int) -> bytes:
    """Return an archive of one member with other values in its directory."""
    at = archive.rindex(b"PK\1\2")
    content = bytearray(archive)
    places = {"flags": (8, "<H"), "method": (10, "<H"), "crc": (16, "<L"), "size": (24, "<L"), "at": (42, "<L")}
    for name, value in {"flags": flags, "method": method, **fields}.items():
        if value is not None:
            offset, form = places[name]
            struct.pack_into(form, content, at + offset, value)
    return bytes(content)


def test_what_cannot_be_read_says_so() -> None:
    """Encrypted, packed by another method, a link, a folder with bytes: each has a sentence."""
    one = packed([("a", b"some bytes")])
    link = zipfile.ZipInfo("a")
    link.external_attr = 0o120777 << 16
    for archive, why in [
        (changed(one, flags=1), "it is encrypted; pack the archive again without a password"),
        (changed(one, flags=0x40), "it is encrypted; pack the archive again without a password"),
        (changed(one, method=14), "it is packed by method 14; pack the archive again with deflate or zstd"),
        (changed(one, method=99), "it is packed by method 99; pack the archive again with deflate or zstd"),
        (packed([(link, b"/etc/passwd")]), "it is a link; put the file itself into the archive"),
    ]:
        assert read(archive) == {"a": Refusal("unreadable_file", why)}
    assert read(packed([("b/", b"bytes")])) == {"b": Refusal("unreadable_file", "it is a folder with bytes of its own")}


@pytest.mark.parametrize("method", [STORED, DEFLATED, ZSTD])
def test_a_member_is_held_to_the_directory(method: int) -> None:
    """Another checksum, more or fewer bytes than the directory says, damage: an error at the end, and never a shorter text."""
    one = packed([("a", TEXT)], method)
    says = "that the archive's directory says"
    for archive, why in [
        (changed(one, crc=1), "its checksum is not the one that the archive's directory has"),
        (changed(one, size=len(TEXT) - 1), f"it has more than the {len(TEXT) - 1} bytes {says}"),
        (changed(one, size=5), f"it has more than the 5 bytes {says}"),
        (changed(one, size=len(TEXT) + 1), f"it has fewer than the {len(TEXT) + 1} bytes {says}"),
    ]:
        assert read(archive) == {"a": Refusal("corrupt_stream", why)}
    damaged = read(one[:2000] + b"\xff" * 500 + one[2500:])["a"]
    assert isinstance(damaged, Refusal)
    assert damaged.reason == "corrupt_stream"
    headless = read(b"PK\0\0" + one[4:])["a"]
    assert headless == ("corrupt_stream", "its header is damaged, or is not what the archive's directory says")


def test_a_window_over_the_setting() -> None:
    """A zstd member that needs a larger window is too_large, and names the setting."""
    info = zipfile.ZipInfo("a")
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 24})
    content = packer.compress(TEXT) + packer.flush()
    archive = changed(packed([(info, content)], STORED), method=93, size=len(TEXT), crc=zipfile.crc32(TEXT))
    assert read(archive) == {"a": TEXT}
    detail = "it needs a window of more than 1048576 bytes to be unpacked (setting max_window_bytes)"
    assert read(archive, replace(LIMITS, max_window_bytes=1 << 20)) == {"a": Refusal("too_large", detail)}


def test_limits_of_an_archive() -> None:
    """Too many members, too many bytes, too large a ratio: one refusal for the archive, which names the setting."""
    archive = packed([(f"{number}", bytes(2 << 20)) for number in range(10)])
    assert len(read(archive)) == 10
    for limits, why in [
        (replace(LIMITS, max_members=9), "it has more than 9 members (setting max_members)"),
        (replace(LIMITS, max_unpacked_bytes=20_000_000), "it unpacks to more than 20000000 bytes (setting max_unpacked_bytes)"),
        (replace(LIMITS, max_unpack_ratio=100), "it unpacks to more than 100 times its size (setting max_unpack_ratio)"),
    ]:
        assert refusal(archive, limits) == ("too_large", why)
    assert len(read(packed([("a", bytes(16 << 20))]), replace(LIMITS, max_unpack_ratio=1))) == 1


def test_members_that_overlap_are_refused() -> None:
    """Two entries of the directory for one member, and one that lies in another: a bomb."""
    one = packed([("a", TEXT), ("b", TEXT)], STORED)
    assert refusal(changed(one, at=0)) == ("unreadable_file", "its members overlap, as those of a zip bomb do")
    assert refusal(changed(one, at=100)).detail == "its members overlap, as those of a zip bomb do"


def test_what_is_no_archive() -> None:
    """Nothing, garbage, an archive that is cut anywhere, a directory of garbage: one refusal."""
    archive = packed([("a", b"some bytes"), ("é", b"more")])
    at = archive.index(b"PK\1\2")
    bad_name = packed([("é", b"more")]).replace("é".encode(), b"\xff\xff")
    for bad in [b"", b"PK", b"no archive" * 1000, *(archive[:length] for length in range(0, len(archive), 7)), archive[at:]]:
        assert refusal(bad).reason == "unreadable_file"
    assert refusal(archive[:at] + b"\xff" * 20 + archive[at + 20 :]).reason == "unreadable_file"
    assert refusal(bad_name) == ("unreadable_file", "it cannot be read as a zip archive: a name in it is not UTF-8")


def test_a_directory_of_millions_costs_little() -> None:
    """A directory of a million entries is refused before it becomes a million objects."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * 1_000_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    started = time.process_time()
    tracemalloc.start()
    try:
        assert refusal(directory + end).reason == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 3 * len(directory)
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 5


@settings(deadline=None)
@given(st.data())
def test_a_damaged_archive_gives_its_bytes_or_a_refusal(data: st.DataObject) -> None:
    """Any bytes changed: each member has the bytes that it had, or is refused; nothing else is raised."""
    good = {"a.json": b'{"a": 1}' * 20, "s/b.json": b"[1, 2]", "c": bytes(100)}
    method = data.draw(st.sampled_from([STORED, DEFLATED, ZSTD]))
    archive = bytearray(packed(list(good.items()), method))
    for _ in range(data.draw(st.integers(1, 3))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(archive))
    except ArchiveError:
        return
    contents = [content for content in found.values() if isinstance(content, bytes)]
    assert all(content in good.values() for content in contents)
