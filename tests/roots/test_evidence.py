"""Files of evidence: which are found, how their bytes become lines, and what collect makes of each line."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import zipfile
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from backports import zstd
from conftest import etl, evidence_line, write_evidence
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.base.errors import NotFoundError
from etl.base.settings import Settings
from etl.context import EvidenceFile, name_on_disk, spelled
from etl.ingest import mapping
from etl.ingest.files import find_evidence
from etl.ingest.formats import lines as reader
from etl.ingest.formats.lines import LineReader, LongLine, Tail, split
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql

Collect = Callable[..., Warehouse]

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstd.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def encoded(*task_ids: str, **fields: Any) -> list[bytes]:
    """Return a valid line of evidence for each task."""
    return [json.dumps(evidence_line(task_id, **fields)).encode() for task_id in task_ids]


def folder_of(tmp_path: Path, **files: bytes) -> Path:
    """Write files with the given bytes; a double underscore in a name stands for a dot. Returns the folder."""
    folder = tmp_path / "given"
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder


def read(path: Path, limit: int = 1000) -> list[bytes | LongLine | Tail]:
    """Return what a reader yields for one file, line by line."""
    reader = LineReader(EvidenceFile(path, path.name, 0), Settings(max_line_bytes=limit))
    reads = (split(read) if isinstance(read, bytes) else read for read in reader)
    return [line for read in reads for line in (read if isinstance(read, list) else [read])]


def tasks(warehouse: Warehouse) -> list[tuple[int, str]]:
    """Return line number and task of every record."""
    return warehouse.execute("select item_number, task_id from evidence.record order by source_path, item_number")


def skips(warehouse: Warehouse, columns: str = "item_number, reason") -> list[tuple[Any, ...]]:
    """Return what was skipped, in the order of the lines."""
    return warehouse.execute(f"select {columns} from evidence.skipped order by source_path, item_number")


def files(warehouse: Warehouse, columns: str = "source_path, record_count, blank_count") -> list[tuple[Any, ...]]:
    """Return the counts of each file."""
    return warehouse.execute(f"select {columns} from evidence.file order by source_path")


# Bytes to lines.


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"\n\na\n\n", [b"", b"", b"a", b""]),
        (b"a\r\nb\r", [b"a\r", b"b\r"]),
        (b"a\rb\x0bc\x0cd\x1ee\x85f\n", [b"a\rb\x0bc\x0cd\x1ee\x85f"]),
        ("a\u2028b\u2029c\u0085d\n".encode(), ["a\u2028b\u2029c\u0085d".encode()]),
        (b"\xff\x00\xfe\n\x00", [b"\xff\x00\xfe", b"\x00"]),
    ],
)
def test_lines_end_at_line_feeds_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, lines: list[bytes], ending: str, chunk: int
) -> None:
    """A line ends at LF or with the file, in any packing, and wherever the reader's chunks end."""
    monkeypatch.setattr(reader, "CHUNK", chunk)
    path = tmp_path / f"evidence.jsonl{ending}"
    path.write_bytes(PACK[ending](content))
    assert read(path) == lines


@pytest.mark.parametrize("chunk", [1, 2, 4, 1 << 20])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_long_line_passes_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes, chunk: int) -> None:
    """A line over the limit is known by offset, length and hash; a line of exactly the limit is an ordinary line."""
    monkeypatch.setattr(reader, "CHUNK", chunk)
    path = tmp_path / "evidence.jsonl"
    path.write_bytes(b"ab\n12345\n123456\ncd\n1234567" + end)
    long = [LongLine(9, 6, sha256(b"123456").hexdigest()), LongLine(19, 7, sha256(b"1234567").hexdigest())]
    assert read(path, limit=5) == [b"ab", b"12345", long[0], b"cd", long[1]]


@pytest.mark.parametrize("ending", PACK)
def test_the_hash_of_a_file_is_over_its_own_bytes(collected: Collect, tmp_path: Path, ending: str) -> None:
    """evidence.file describes the packed bytes of a packed file."""
    content = PACK[ending](b"\n".join(encoded("a", "b")))
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / f"evidence.jsonl{ending}").write_bytes(content)
    assert files(collected(folder), "source, source_path, bytes, sha256, record_count, blank_count") == [
        ("evidence", f"evidence.jsonl{ending}", len(content), sha256(content).hexdigest(), 2, 0)
    ]


def test_members_and_frames_one_after_the_other_are_one_stream(collected: Collect, tmp_path: Path) -> None:
    """Packed files that were joined with cat are read to their end; a line may continue from one into the next."""
    first, second = encoded("a", "b")
    parts = [first[:20], first[20:] + b"\n" + second, b"\n"]
    folder = folder_of(tmp_path, **{f"evidence__jsonl{end}": b"".join(map(PACK[end], parts)) for end in (".gz", ".zst")})
    assert tasks(collected(folder)) == [(1, "a"), (2, "b"), (1, "a"), (2, "b")]


# Lines to rows.


def test_a_carriage_return_belongs_to_its_line(collected: Collect, tmp_path: Path) -> None:
    """A CR before the LF is part of the line, its hash and, where it is skipped, its bytes."""
    good, bad = encoded("a")[0] + b"\r", b"{\r"
    warehouse = collected(folder_of(tmp_path, evidence__jsonl=good + b"\n" + bad + b"\n"))
    assert warehouse.execute("select item_number, item_sha256 from evidence.record") == [(1, sha256(good).hexdigest())]
    assert skips(warehouse, "item_number, item_sha256, raw") == [(2, sha256(bad).hexdigest(), bad)]


def test_a_line_separator_in_a_string_is_text(collected: Collect) -> None:
    """U+2028, U+2029 and U+0085 do not end a line, and stay in the text."""
    warehouse = collected({"evidence.jsonl": [evidence_line("a", response="1\u20282\u20293\u00854"), evidence_line("b")]})
    assert warehouse.execute("select item_number, response from evidence.record where task_id = 'a'") == [
        (1, "1\u20282\u20293\u00854")
    ]
    assert tasks(warehouse) == [(1, "a"), (2, "b")]


def test_blank_lines_are_counted_and_nothing_else(collected: Collect, tmp_path: Path) -> None:
    """A line of only space, tab and CR has a number and is counted as blank; it is not a failure."""
    first, second = encoded("a", "b")
    folder = folder_of(tmp_path, evidence__jsonl=b"\n" + first + b"\n \t\r\n\r\n" + second + b"\n\n  ")
    warehouse = collected(folder)
    assert tasks(warehouse) == [(2, "a"), (5, "b")]
    assert skips(warehouse) == []
    assert files(warehouse) == [("evidence.jsonl", 2, 5)]


def test_a_last_line_without_a_line_feed_is_a_line(collected: Collect, tmp_path: Path) -> None:
    """The last line counts, with and without its LF, and has the same hash."""
    line = encoded("a")[0]
    warehouse = collected(folder_of(tmp_path, evidence__jsonl=line, evidence2__jsonl=line))
    assert tasks(warehouse) == [(1, "a")]
    assert warehouse.one("select item_sha256 from evidence.record") == sha256(line).hexdigest()


def test_an_empty_file_is_a_file(collected: Collect, tmp_path: Path) -> None:
    """A file of no bytes has no lines; it is counted with its hash, and one of an unknown source is an entry."""
    folder = folder_of(tmp_path, evidence__jsonl=b"", unheard_of__jsonl=b"")
    warehouse = collected(folder)
    assert (tasks(warehouse), skips(warehouse)) == ([], [(0, "unknown_source")])
    assert files(warehouse, "source, bytes, sha256, record_count, blank_count") == [
        ("evidence", 0, sha256(b"").hexdigest(), 0, 0),
        ("unheard_of", 0, sha256(b"").hexdigest(), 1, 0),
    ]


@pytest.mark.parametrize("content", [{}, {"evidence.jsonl": [b"", b" \t\r"]}, {"README.md": [b"Read me."], ".hidden": [b"x"]}])
def test_evidence_without_an_item_is_a_mistake(tmp_path: Path, content: dict[str, list[bytes]]) -> None:
    """No file, blank lines or ignored files alone: exit code 2, and nothing is published."""
    write_evidence(tmp_path / "evidence", {"sub/.keep": [], **content})
    result = etl("run-all", "--root", tmp_path)
    assert result.exit_code == 2
    assert "it holds no item that is not blank" in result.stderr
    assert not (tmp_path / "warehouse/etl.duckdb").exists()


SKIPPED = {
    b'{"a": "\xff\x80", "b"': "invalid_utf8",
    b"[" * 65: "too_deep",
    b'{"task_id": ' + b"7" * 4301 + b"}": "too_large",
    b'{"a": NaN}\r': "malformed_json",
    b"\x00\x01\x02": "malformed_json",
    b"\xef\xbb\xbf{}": "malformed_json",
    b"hello": "malformed_json",
    b'{"task_id": "a", "task_id": "b"}': "duplicate_key",
    b' [{"task_id": "a"}]\t': "not_an_object",
    "\u20ac".encode() + b"\x0c": "malformed_json",
    b'{ "source_class" :"verdict",  "task_id": null }  ': "missing_task_id",
    b'{"source_class": "verdict", "task_id": "\\u0041", "score": "1.0"}\r': "bad_score",
}


def test_skipped_lines_keep_their_bytes(collected: Collect) -> None:
    """Each line that is not evidence is one row: reason, hash, its exact bytes, and a word on what was refused."""
    warehouse = collected({"evidence.jsonl": list(SKIPPED)})
    assert skips(warehouse, "source, source_path, item_number, item_sha256, reason, raw") == [
        ("evidence", "evidence.jsonl", number, sha256(line).hexdigest(), reason, line)
        for number, (line, reason) in enumerate(SKIPPED.items(), start=1)
    ]
    parsed = "reason not like 'missing%' and reason not like 'bad%'"
    assert warehouse.one(f"select bool_and(detail <> '') from evidence.skipped where {parsed}")
    assert files(warehouse) == [("evidence.jsonl", len(SKIPPED), 0)]


def test_good_lines_among_bad_ones_keep_their_numbers(collected: Collect) -> None:
    """One line is one row: a record or a skipped line, under its own number."""
    warehouse = collected({"evidence.jsonl": ["{", evidence_line("a"), "", "[]", evidence_line("b"), "NaN"]})
    assert tasks(warehouse) == [(2, "a"), (5, "b")]
    assert skips(warehouse) == [(1, "malformed_json"), (4, "not_an_object"), (6, "malformed_json")]
    assert files(warehouse) == [("evidence.jsonl", 5, 1)]


@pytest.mark.parametrize("ending", PACK)
def test_a_line_over_the_limit_is_too_long(collected: Collect, tmp_path: Path, ending: str) -> None:
    """It keeps its hash, its offset in the unpacked stream and its length, but not its bytes; it is not even parsed."""
    first, last = encoded("a", "b")
    long = b"\xff" * 301
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / f"evidence.jsonl{ending}").write_bytes(PACK[ending](first + b"\n\n" + long + b"\n" + last + b"\n"))
    warehouse = collected(folder, max_line_bytes=300)
    assert tasks(warehouse) == [(1, "a"), (4, "b")]
    ((number, reason, digest, detail, raw),) = skips(warehouse, "item_number, reason, item_sha256, detail, raw")
    assert (number, reason, digest, raw) == (3, "line_too_long", sha256(long).hexdigest(), None)
    assert f"offset {len(first) + 2}" in detail
    assert "length 301" in detail


def test_a_line_of_exactly_the_limit_is_not_too_long(collected: Collect) -> None:
    """max_line_bytes counts the bytes of the line without its LF; a line of exactly that length is read."""
    line = encoded("a")[0]
    assert tasks(collected({"evidence.jsonl": [line]}, max_line_bytes=len(line))) == [(1, "a")]
    assert skips(collected({"evidence.jsonl": [line]}, max_line_bytes=len(line) - 1)) == [(1, "line_too_long")]


def test_a_blank_line_over_the_limit_is_still_one_row_or_blank(collected: Collect) -> None:
    """However long a line is, it is counted once."""
    warehouse = collected({"evidence.jsonl": [b" " * 50, b"{" * 50]}, max_line_bytes=40)
    (counts,) = files(warehouse, "record_count, blank_count")
    assert sum(counts) == 2
    assert counts[0] == len(skips(warehouse))


def test_the_depth_that_is_too_deep_is_a_setting(collected: Collect) -> None:
    """max_depth sets the limit of too_deep."""
    line = evidence_line("a", messages=[{"role": "user"}])
    assert skips(collected({"evidence.jsonl": [line]}, max_depth=2)) == [(1, "too_deep")]
    assert skips(collected({"evidence.jsonl": [line]}, max_depth=3)) == []


def test_the_values_that_are_too_many_are_a_setting(collected: Collect) -> None:
    """max_values moves the bound of too_large: commas and opening brackets count, those in strings do not."""
    line = evidence_line("a", response="one, two, [three], {four}", success_markers=["a", "b", "c"])
    values = len(line) + 3
    assert skips(collected({"evidence.jsonl": [line]}, max_values=values - 1)) == [(1, "too_large")]
    assert skips(collected({"evidence.jsonl": [line]}, max_values=values)) == []


# Who made the evidence, and its identity.


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("outcomes.jsonl", "outcomes"),
        ("outcomes.jsonl.gz", "outcomes"),
        ("outcomes.jsonl.zst", "outcomes"),
        ("outcomes/2026.jsonl", "outcomes"),
        ("outcomes/2026/01/evidence.jsonl.gz", "outcomes"),
        ("outcomes/evidence/scrum_reviews.jsonl", "outcomes"),
        ("out.comes.v2.jsonl", "out.comes.v2"),
        ("out comes/\u00fc.jsonl", "out comes"),
        ("outcomes.d/a.jsonl", "outcomes.d"),
        ("out.comes.NDJSON.3.xz", "out.comes"),
        ("outcomes.json", "outcomes"),
    ],
)
def test_the_first_part_of_the_path_names_the_source(tmp_path: Path, path: str, source: str) -> None:
    """A file in the folder is a source of its own name; a folder in it is one source, with all files below it."""
    write_evidence(tmp_path, {path: []})
    (found,) = find_evidence(tmp_path, Sql.packaged())
    assert (found.source, found.source_path, found.path) == (source, path, tmp_path / path)


@pytest.mark.parametrize(
    ("path", "fate"),
    [
        *(
            (f"a.{ending}", "read")
            for ending in (
                "jsonl",
                "ndjson",
                "JSONL",
                "jsonl.1",
                "jsonl.12.gz",
                "Ndjson.BZ2",
                "json",
                "JSON.zst",
                "parquet",
                "eval",
            )
        ),
        *((f"evidence/{name}", "hidden") for name in (".DS_Store", ".b.jsonl", ".git/config")),
        *(("README", "README*"), ("b/README.jsonl", "README*"), ("LICENSE.txt", "LICENSE*"), ("b/notes.md", "*.md")),
        *(("b/draft.jsonl", ".etlignore"), ("old/c/d.jsonl", ".etlignore"), ("b/kept.draft.jsonl", "read")),
        *(
            (name, "unknown_format")
            for name in ("a.csv", "a.parquet.gz", "a.jsonl.bak", "a.jsonl.gz.part", "ajsonl", "a", "b/a.txt", "\u202ea.exe")
        ),
    ],
)
def test_each_file_is_read_or_ignored_by_a_rule_or_an_entry(tmp_path: Path, path: str, fate: str) -> None:
    """No file is passed over: it is read, a rule ignores it, or its format is unknown."""
    write_evidence(tmp_path, {path: [], ".etlignore": ["*draft.jsonl", "!kept.*", "/old/"]})
    found = [file for file in find_evidence(tmp_path, Sql.packaged()) if file.source_path != ".etlignore"]
    ((file),) = found
    assert (file.ignored_by or ("read" if file.format else "unknown_format")) == fate
    assert path.startswith(file.source_path)


#: Names that a file system takes, of which many end like those that mean something.
NAMES = st.builds(
    "".join,
    st.tuples(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=8),
        st.sampled_from(["", ".jsonl", ".JSONL.2.gz", ".md", "README", ".json", ".etlignore", "\n", ".xz"]),
    ),
).filter(lambda name: 0 < len(name.encode()) < 200 and name not in {".", ".."})


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, st.sampled_from(["", "evidence", "a.jsonl", ".b"]), max_size=6))
def test_no_file_is_passed_over(names: dict[str, str]) -> None:
    """Whatever the files are called, each is found once; only what a hidden folder holds counts with the folder."""
    with TemporaryDirectory() as folder:
        wanted = set()
        for name, parent in names.items():
            place = Path(folder, parent, "x" if parent == "" and name in {"evidence", "a.jsonl", ".b"} else name)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(b"")
            wanted.add(Path(folder, ".b") if parent == ".b" else place)
        found = find_evidence(Path(folder), Sql.packaged())
    assert sorted(file.path for file in found) == sorted(wanted)
    assert len({file.source_path for file in found}) == len(found)


@given(st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_a_path_leads_back_to_the_name_of_its_file(name: bytes) -> None:
    """A name may hold bytes that are not UTF-8, or look like the path of a member: its path is text, and no other name's."""
    path = spelled(os.fsdecode(name))
    assert os.fsencode(name_on_disk(path)) == name
    assert path.encode().decode() == path


def test_a_file_below_very_many_folders(tmp_path: Path) -> None:
    """A path may be longer than any function calls itself: the file is read."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": [evidence_line("near")]})
    (tmp_path / "evidence/evidence").mkdir()
    inner = os.open(tmp_path / "evidence/evidence", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=inner)
        outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    file = os.open("deep.jsonl", os.O_WRONLY | os.O_CREAT, dir_fd=inner)
    os.write(file, json.dumps(evidence_line("deep")).encode())
    os.close(file)
    os.close(inner)
    try:
        assert etl("run-all", "--root", tmp_path).exit_code == 0
        tasks = etl("sql", "select task_id from evidence.record order by 1", "--root", tmp_path, "--json").json
        assert tasks == [{"task_id": "deep"}, {"task_id": "near"}]
    finally:  # Python cannot remove so many folders
        subprocess.run(["rm", "-r", tmp_path / "evidence"], check=True)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.sets(NAMES, max_size=6), st.sets(NAMES, max_size=6))
def test_the_receipt_counts_every_file_and_every_member(names: set[str], members: set[str]) -> None:
    """Each file of one line is an item, an entry, or counted by the rule that ignores it; so is each member of an archive."""
    line = json.dumps(evidence_line("a")).encode() + b"\n"
    with TemporaryDirectory() as folder:
        place = Path(folder, "evidence/evidence")
        place.mkdir(parents=True)
        for name in names:
            (place / name).write_bytes(line)
        with zipfile.ZipFile(place / "sure.zip", "w") as archive:
            for name in sorted({"sure.jsonl", *members}):
                archive.writestr(name, line)
        done = etl("run-all", "--root", folder)
        assert done.exit_code in {0, 1}, done.stderr
        receipt = etl("receipts", "--root", folder, "--json").json["receipts"][0]
    files, read = receipt["files"], receipt["files"]["read"] - 1
    ignored_members = sum(files["ignored_members"].values())
    assert read + sum(files["ignored"].values()) == len({*names} - {"sure.zip"})
    assert receipt["inputs"]["record_count"] - read + ignored_members == len({"sure.jsonl", *members})


def test_files_are_counted_by_what_became_of_them(collected: Collect) -> None:
    """An unknown format and an unknown source are an entry each, with the bytes hashed; ignored files have their rule."""
    given = {
        "evidence/a.jsonl": encoded("a"),
        "evidence/b.txt": [b"b"],
        "c.jsonl": [b"{}", b"x"],
        "d.csv": [b"{}"],
        "e.md": [b"e"],
    }
    warehouse = collected(given)
    assert skips(warehouse, "source_path, item_number, item_sha256, reason, raw") == [
        ("c.jsonl", 0, None, "unknown_source", None),
        ("d.csv", 0, None, "unknown_format", None),
        ("evidence/b.txt", 0, None, "unknown_format", None),
    ]
    assert files(warehouse, "source_path, record_count, bytes, ignored_by") == [
        ("c.jsonl", 1, 5, None),
        ("d.csv", 1, 3, None),
        ("e.md", 0, None, "*.md"),
        ("evidence/a.jsonl", 1, len(encoded("a")[0]) + 1, None),
        ("evidence/b.txt", 1, 2, None),
    ]


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    """A missing folder is a mistake of the caller, not an empty folder."""
    with pytest.raises(NotFoundError, match=r"nowhere.*--evidence"):
        find_evidence(tmp_path / "nowhere", Sql.packaged())


def test_a_source_without_a_mapping_is_not_parsed(collected: Collect) -> None:
    """Each file of a source without a file in sql/2_sources is one entry, unknown_source, whatever it holds."""
    lines = [*encoded("a"), b"{", b"\xff", b"", b"[" * 70]
    warehouse = collected({"hearsay.jsonl": lines, "hearsay2/a.jsonl": [b"1"], "evidence.jsonl": encoded("b")})
    assert tasks(warehouse) == [(1, "b")]
    assert skips(warehouse, "source, source_path, item_number, reason, detail") == [
        (name.split("/")[0].removesuffix(".jsonl"), name, 0, "unknown_source", f"there is no sql/2_sources/{source}.sql")
        for name, source in (("hearsay.jsonl", "hearsay"), ("hearsay2/a.jsonl", "hearsay2"))
    ]
    assert files(warehouse) == [("evidence.jsonl", 1, 0), ("hearsay.jsonl", 1, 0), ("hearsay2/a.jsonl", 1, 0)]


@pytest.mark.parametrize("run_id", ["run-1", "", None])
def test_the_id_of_a_record_is_a_hash_of_what_it_is(collected: Collect, run_id: str | None) -> None:
    """evidence_id is sha256 over source, run_id, task_id and item_sha256, joined by 0x1F; a null counts as empty."""
    line = encoded("t\u00e4sk", run_id=run_id)[0]
    digest = sha256(line).hexdigest()
    warehouse = collected({"evidence/a.jsonl": [line]})
    assert warehouse.execute("select evidence_id, item_sha256 from evidence.record") == [
        (sha256(f"evidence\x1f{run_id or ''}\x1ft\u00e4sk\x1f{digest}".encode()).hexdigest(), digest)
    ]


def test_identical_lines_have_one_id(collected: Collect) -> None:
    """The same line in two places is two records with the same evidence_id; one more blank makes it another line."""
    line = encoded("a")[0]
    warehouse = collected({"evidence/a.jsonl": [line, line], "evidence/b/c.jsonl": [line, line + b" "]})
    ids = warehouse.execute("select source_path, item_number, evidence_id from evidence.record order by all")
    assert [row[:2] for row in ids] == [
        ("evidence/a.jsonl", 1),
        ("evidence/a.jsonl", 2),
        ("evidence/b/c.jsonl", 1),
        ("evidence/b/c.jsonl", 2),
    ]
    assert len({row[2] for row in ids[:3]}) == 1
    assert ids[3][2] != ids[0][2]


def rows(warehouse: Warehouse, *tables: str, without: str = "null") -> list[list[dict[str, Any]]]:
    """Return the rows of tables in their physical order, without one column."""
    return [
        [{name: value for name, value in row.items() if name != without} for row in warehouse.dicts(f"from {table}")]
        for table in tables
    ]


def test_packed_lines_give_the_records_of_plain_ones(collected: Collect, tmp_path: Path) -> None:
    """The way a file is packed shows only in its name."""
    lines = [*encoded("a", "b", score=0.5), b"{", b"", b'{"task_id": 1, "source_class": "verdict"}\r', *encoded("c")]
    warehouses = []
    for ending, pack in PACK.items():
        folder = tmp_path / f"packed{ending}"
        (folder / "evidence").mkdir(parents=True)
        (folder / f"evidence/a.jsonl{ending}").write_bytes(pack(b"\n".join(lines)))
        warehouses.append(collected(folder))
    plain, *packed = [rows(warehouse, "evidence.record", "evidence.skipped", without="source_path") for warehouse in warehouses]
    assert [len(table) for table in plain] == [3, 2]
    assert packed == [plain] * (len(PACK) - 1)


MIXED: dict[str, Sequence[bytes]] = {
    "evidence/b.jsonl": [*encoded("a", "b"), b"{"],
    "evidence/a.jsonl": encoded("a", "c"),
    "evidence/B.jsonl": encoded("d"),
    "evidence/a/z.jsonl": encoded("e"),
    "evidence.jsonl": encoded("f"),
    "scrum_reviews/x.jsonl": [b'{"task_id": "a", "created_at": "2026-01-01", "verdict": "approve"}', b"NaN"],
    "hearsay/y.jsonl": [b"1"],
}


def test_the_order_in_which_files_were_made_does_not_show(collected: Collect, tmp_path: Path) -> None:
    """The same files, made in another order, give the same rows in the same order in the tables."""
    made: list[Warehouse] = []
    for names in (list(MIXED), sorted(MIXED), sorted(MIXED, reverse=True)):
        folder = write_evidence(tmp_path / f"made-{len(made)}", {name: MIXED[name] for name in names})
        made.append(collected(folder))
    first, *others = (rows(warehouse, "evidence.record", "evidence.skipped", "evidence.file") for warehouse in made)
    assert others == [first, first]


# Files that cannot be read, streams that end badly.


def unreadable(folder: Path) -> Mapping[str, str]:
    """Put things into a folder that have names of evidence but are not files of evidence. Returns name and source of each."""
    (folder / "outcomes").mkdir(parents=True)
    (folder / "evidence.jsonl").symlink_to(folder / "outcomes" / "gone")
    (folder / "outcomes" / "dangling.jsonl.gz").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "outcomes" / "pipe.jsonl")
    return {"evidence.jsonl": "evidence", "outcomes/dangling.jsonl.gz": "outcomes", "outcomes/pipe.jsonl": "outcomes"}


def test_what_cannot_be_read_is_one_entry(collected: Collect, tmp_path: Path) -> None:
    """Links to nowhere, a pipe: one unreadable_file at line 0 each, and the run goes on."""
    folder = tmp_path / "given"
    names = unreadable(folder)
    write_evidence(folder, {"evidence/a.jsonl": [evidence_line("a")]})
    warehouse = collected(folder)
    assert skips(warehouse, "source_path, source, item_number, reason, item_sha256, raw") == [
        (name, source, 0, "unreadable_file", None, None) for name, source in names.items()
    ]
    assert warehouse.one("select bool_and(detail <> '') from evidence.skipped")
    assert tasks(warehouse) == [(1, "a")]
    assert files(warehouse, "source_path, bytes, sha256, record_count, blank_count") == [
        ("evidence.jsonl", None, None, 1, 0),
        ("evidence/a.jsonl", *_facts(folder / "evidence/a.jsonl"), 1, 0),
        *((name, None, None, 1, 0) for name in sorted(names) if name != "evidence.jsonl"),
    ]


def _facts(path: Path) -> tuple[int, str]:
    content = path.read_bytes()
    return len(content), sha256(content).hexdigest()


@pytest.mark.parametrize(("name", "entries"), [(name, [(name, 0, "unreadable_file")]) for name in ("outcomes.jsonl", "a")])
def test_a_link_to_itself_leads_nowhere(
    collected: Collect, tmp_path: Path, name: str, entries: list[tuple[str, int, str]]
) -> None:
    """A link to itself is an unreadable file, whatever its name."""
    folder = write_evidence(tmp_path / "given", {"evidence.jsonl": [evidence_line("a")]})
    (folder / name).symlink_to(folder / name)
    warehouse = collected(folder)
    assert tasks(warehouse) == [(1, "a")]
    assert skips(warehouse, "source_path, item_number, reason") == entries


def test_a_folder_that_holds_itself_is_read_once(collected: Collect, tmp_path: Path) -> None:
    """A link back up the tree leads nowhere new."""
    folder = write_evidence(tmp_path / "given", {"evidence/a.jsonl": [evidence_line("a")]})
    (folder / "evidence" / "again").symlink_to(folder / "evidence")
    assert tasks(collected(folder)) == [(1, "a")]


def frames(*parts: bytes) -> bytes:
    """Return a zstd stream of one frame per part, each with a checksum."""
    checked = {zstd.CompressionParameter.checksum_flag: 1}
    return b"".join(zstd.compress(part, options=checked) for part in parts)


def flipped(content: bytes, at: int) -> bytes:
    """Return bytes with one bit flipped."""
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


GOOD = b"".join(line + b"\n" for line in encoded("a", "b", "c"))
HALF = encoded("d")[0][:40]

#: Name of the file, its bytes, how many lines are whole, and what follows them.
BROKEN = {
    "a gzip checksum cut off": (".gz", gzip.compress(GOOD)[:-8], 3, b""),
    "a gzip checksum cut in two": (".gz", gzip.compress(GOOD)[:-3], 3, b""),
    "a gzip checksum cut off after half a line": (".gz", gzip.compress(GOOD + HALF)[:-8], 3, HALF),
    "a wrong gzip checksum": (".gz", flipped(gzip.compress(GOOD), -6), 3, b""),
    "a wrong gzip length": (".gz", flipped(gzip.compress(GOOD + HALF), -1), 3, HALF),
    "something else after a gzip member": (".gz", gzip.compress(GOOD) + b"garbage", 3, b""),
    "a gzip member cut in its header": (".gz", gzip.compress(GOOD + HALF) + gzip.compress(b"more")[:5], 3, HALF),
    "a gzip member that is none": (".gz", gzip.compress(GOOD) + flipped(gzip.compress(GOOD), 0), 3, b""),
    "text named .gz": (".gz", GOOD, 0, b""),
    "no byte of gzip": (".gz", b"", 0, b""),
    "a gzip header cut off": (".gz", gzip.compress(GOOD)[:6], 0, b""),
    "a zstd frame cut in its header": (".zst", frames(GOOD + HALF) + frames(b"more")[:5], 3, HALF),
    "a zstd checksum cut off": (".zst", frames(GOOD, HALF)[:-2], 3, HALF),
    "something else after a zstd frame": (".zst", frames(GOOD) + b"garbage", 3, b""),
    "a zstd frame that is none": (".zst", frames(GOOD) + flipped(frames(GOOD), 0), 3, b""),
    "text named .zst": (".zst", GOOD, 0, b""),
    "no byte of zstd": (".zst", b"", 0, b""),
    "a zstd header cut off": (".zst", frames(GOOD)[:5], 0, b""),
}


@pytest.mark.parametrize(("ending", "content", "whole", "tail"), BROKEN.values(), ids=BROKEN)
def test_a_stream_that_ends_badly_gives_its_whole_lines(
    tmp_path: Path, ending: str, content: bytes, whole: int, tail: bytes
) -> None:
    """The lines before the break are ordinary lines; the bytes after the last of them are the tail."""
    path = tmp_path / f"evidence.jsonl{ending}"
    path.write_bytes(content)
    *lines, last = read(path)
    assert lines == GOOD.split(b"\n")[:whole]
    assert isinstance(last, Tail)
    assert last.content == tail
    assert last.refusal.reason == "corrupt_stream"


def test_a_stream_that_ends_badly_is_one_entry(collected: Collect, tmp_path: Path) -> None:
    """It is one corrupt_stream at the next line, and its tail is kept raw; the lines before it and other files load."""
    names = {f"{number:02}.jsonl{ending}": name for number, (name, (ending, *_)) in enumerate(BROKEN.items())}
    folder = tmp_path / "given"
    (folder / "evidence").mkdir(parents=True)
    for file, name in names.items():
        (folder / "evidence" / file).write_bytes(BROKEN[name][1])
    warehouse = collected(folder)
    rows = warehouse.execute(
        "select file.source_path, file.bytes, file.record_count, skipped.reason, skipped.item_number, skipped.raw, "
        "(select count(*) from evidence.record as record where record.source_path = file.source_path) "
        "from evidence.file as file inner join evidence.skipped as skipped using (source_path) order by 1"
    )
    assert {names[path.removeprefix("evidence/")]: tuple(facts) for path, *facts in rows} == {
        name: (len(content), whole + 1, "corrupt_stream", whole + 1, tail, whole)
        for name, (_, content, whole, tail) in BROKEN.items()
    }


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_long_stream_that_is_cut_keeps_its_beginning(tmp_path: Path, ending: str, kept: float) -> None:
    """A cut file of megabytes still gives whole lines, in order, most of what is there, then one tail."""
    lines = [sha256(b"%d" % number).hexdigest().encode() * 2 for number in range(40_000)]
    packed = PACK[ending](b"\n".join(lines))
    path = tmp_path / f"evidence.jsonl{ending}"
    path.write_bytes(packed[: int(len(packed) * kept)])
    *whole, last = read(path)
    assert isinstance(last, Tail)
    assert whole == lines[: len(whole)]
    assert lines[len(whole)].startswith(last.content)
    assert len(whole) > len(lines) * (kept - 0.1)


def test_a_broken_line_over_the_limit_is_one_entry(collected: Collect, tmp_path: Path) -> None:
    """A stream that breaks in a line too long to keep is counted once, and the counts add up."""
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "evidence.jsonl.gz").write_bytes(gzip.compress(GOOD + b"x" * 5000)[:-8])
    warehouse = collected(folder, max_line_bytes=1000)
    assert skips(warehouse) == [(4, "corrupt_stream")]
    assert files(warehouse) == [("evidence.jsonl.gz", 4, 0)]


def test_records_are_not_sorted(collected: Collect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of a mapping that goes item by item come in the order of the evidence; else all their texts would be copied."""
    lines = [evidence_line(f"task-{number}" if number % 50 else "", score=0.7) for number in range(5000)]
    given: list[pa.Table] = []
    monkeypatch.setattr(mapping, "_in_order", lambda rows: given.append(rows) or rows)
    warehouse = collected({"evidence.jsonl": lines})
    assert [number for rows in given for number in rows["item_number"].to_pylist()] == list(range(1, 5001))
    assert warehouse.one("select count(*) from evidence.record") == 4900
