"""Items that take much memory, or that the engine cannot take, in each kind of file: each has an outcome."""

import gzip
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import etl, evidence_line, write_evidence

from etl.base.settings import Settings

SECRET = "sk-live-SECRET"


def item(**fields: str) -> bytes:
    """Return a line of evidence with fields given as JSON text."""
    return (
        json.dumps(evidence_line())[:-1].encode()
        + b"".join(f', "{name}": {text}'.encode() for name, text in fields.items())
        + b"}"
    )


def hostile(size: int) -> dict[str, bytes]:
    """Return items of about so many bytes, by what is hostile about them."""
    many = size // 3
    return {
        "numbers": item(x=f"[{'0,' * (size // 2)}0]"),
        "objects": b"[" + b"{}," * many + b"{}]",
        "half open": b'{"x": [' + b"1," * (size // 2),
        "openings": b'{"x": ' + b"[" * size,
        "a string that does not end": b'{"x": "' + b"\\\\" * (size // 2),
        "JSON in a text": item(messages=json.dumps(f"[{'0,' * (size // 2)}0]")),
        "brackets in a text": item(messages=json.dumps("[" * size)),
        "objects in a text": item(messages=json.dumps(f"[{'{},' * many}{{}}]")),
        "a long key": b'{"' + b"k" * size + b'": 1}',
        "a key twice": b'{"' + b"k" * (size // 2) + b'": 1, "' + b"k" * (size // 2) + b'": 2}',
        "NUL": item(prompt=r'"a\u0000b"', x=r'{"\u0000": 1}'),
        "digits": item(messages=f"[{'9' * 4300}]", score="9" * 4300),
        "more digits": item(score="9" * 4301),
        "texts": item(cited_paths="[" + '"",' * many + '""]'),
        "blank": b" " * size,
    }


def parquet(contents: Sequence[bytes]) -> bytes:
    """Return a Parquet file whose cells hold these texts, once as text and once as JSON that the product does not look into."""
    target = io.BytesIO()
    texts = [content.decode() for content in contents]
    row = evidence_line()
    columns = {name: pa.array([value] * len(texts)) for name, value in row.items()}
    pq.write_table(pa.table(columns | {"messages": pa.array(texts)}), target)
    return target.getvalue()


def write_all(folder: Path, contents: Sequence[bytes]) -> int:
    """Write these items as lines, documents, members and cells; return how many files that are."""
    folder.mkdir(parents=True)
    (folder / "lines.jsonl").write_bytes(b"\n".join([*contents, json.dumps(evidence_line("good")).encode()]))
    (folder / "rows.parquet").write_bytes(parquet(contents))
    with zipfile.ZipFile(folder / "members.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            (folder / f"{number}.json").write_bytes(content)
            (folder / f"{number}.json.gz").write_bytes(gzip.compress(content, 1))
            archive.writestr(f"{number}.json", content)
            archive.writestr(f"{number}.jsonl", b"\n" * 8 + content)
    return 3 + 2 * len(contents)


def run_apart(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run everything in a process of its own, which may die."""
    command = [sys.executable, "-m", "etl", "run-all", "--root", str(root), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def assert_all_have_an_outcome(root: Path, files: int) -> None:
    """Assert that the books balance, and that each file has items or is an entry."""
    assert etl("sql", "from receipts.unbalanced", "--root", root, "--json").json == []
    query = "select count(*) as files, count(*) filter (where record_count + blank_count = 0) as silent from evidence.file"
    assert etl("sql", query, "--root", root, "--json").json == [{"files": files, "silent": 0}]


LIMITS = [
    ("max_line_bytes=1000", "max_values=100"),
    ("max_depth=1", "max_unpacked_bytes=5000"),
    ("max_unpack_ratio=1", "max_members=3"),
]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_small_hostile_items_under_small_limits(tmp_path: Path, limits: Sequence[str]) -> None:
    """Items of a few kilobytes, at the limits: the run ends, and each has an outcome."""
    files = write_all(tmp_path / "evidence" / "evidence", [*hostile(998).values(), *hostile(20_000).values()])
    done = etl("run-all", "--root", tmp_path, *(option for limit in limits for option in ("--set", limit)))
    assert done.exit_code == 1, done.stderr
    assert_all_have_an_outcome(tmp_path, files)


@pytest.mark.slow
@pytest.mark.parametrize("kind", hostile(1))
def test_large_hostile_items(tmp_path: Path, kind: str) -> None:
    """One item of 8 MB, or of 2**24 numbers: the process lives, and each has an outcome."""
    size = 2**25 if kind in {"numbers", "JSON in a text"} else 2**23
    files = write_all(tmp_path / "evidence" / "evidence", [hostile(size)[kind]])
    done = run_apart(tmp_path)
    assert done.returncode in {0, 1}, done.stderr
    assert_all_have_an_outcome(tmp_path, files)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_the_longest_lines_that_are_read(tmp_path: Path, kind: str) -> None:
    """Lines of 2**26 bytes, the limit, and one byte less are judged; one byte more is too long. The process lives."""
    limit = Settings().max_line_bytes
    content = hostile(limit - 2000)[kind].ljust(limit - 1)
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": [content, content + b" ", content + b"  ", evidence_line()]})
    assert run_apart(tmp_path).returncode == 1
    assert_all_have_an_outcome(tmp_path, 1)
    query = "select item_number, reason from evidence.skipped order by item_number"
    reasons = [row["reason"] for row in etl("sql", query, "--root", tmp_path, "--json").json]
    assert reasons == ["too_large", "too_large", "line_too_long"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["texts", "JSON in a text"])
def test_as_many_values_as_a_setting_allows(tmp_path: Path, kind: str) -> None:
    """Ten million numbers, texts of a list, or numbers in JSON in a text: the process lives, and each has an outcome."""
    content = hostile({"texts": 3, "numbers": 2, "JSON in a text": 2}[kind] * 9_999_900)[kind]
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": [content, evidence_line()]})
    done = run_apart(tmp_path, "--set", "max_values=10000000")
    assert done.returncode in {0, 1}, done.stderr
    assert_all_have_an_outcome(tmp_path, 1)


@pytest.mark.slow
def test_a_gigabyte_of_blank_lines_is_counted_in_bulk(tmp_path: Path) -> None:
    """A megabyte of gzip is a gigabyte of line feeds: they are counted as fast as they are unpacked, and others are read."""
    write_evidence(tmp_path / "evidence", {"evidence/few.jsonl": [evidence_line()]})
    with gzip.open(tmp_path / "evidence/evidence/blank.jsonl.gz", "wb", 9) as stream:
        for _ in range(1000):
            stream.write(b"\n" * 1_000_000)
    assert run_apart(tmp_path, "--set", "max_unpack_ratio=1100").returncode == 0
    query = "select sum(blank_count)::bigint as blank from evidence.file"
    assert etl("sql", query, "--root", tmp_path, "--json").json == [{"blank": 1_000_000_000}]


#: Columns, and what a mapping gives there that fails, or does not fit.
LEAKS: dict[str, str] = {
    "prompt_tokens": "(json ->> 'n')::bigint",
    "score": "json ->> 'n'",
    "created_at": "strptime(json ->> 'n', '%Y')",
    "prompt": "error(json ->> 'n')",
    "cited_paths": "json ->> 'n'",
    "source_class": "json ->> 'n'",
    "human_override": "json ->> 'n'",
    "record_number": "json ->> 'n'",
    "problem": "json ->> 'n'",
    "parts": "[{'source_path': json ->> 'n', 'item_number': 1}]",
    "source_path": "json ->> 'n'",
}


def test_no_text_of_an_item_is_in_a_detail_or_a_receipt(tmp_path: Path) -> None:
    """Whatever a mapping does with a secret, or a line has where it must not: neither details nor receipts have its text."""
    keys = [
        {SECRET: {SECRET: SECRET}},
        {"task_id": SECRET, "source_class": SECRET},
        {"source_class": "verdict", "score": SECRET},
    ]
    twice = f'{{"{SECRET}": 1, "{SECRET}": 2}}'
    write_evidence(tmp_path / "evidence", {"evidence/a.jsonl": [*keys, twice, f'{{"a": {SECRET}}}', evidence_line()]})
    (tmp_path / "evidence/evidence/b.json").write_text(twice, encoding="utf-8")
    for column, value in LEAKS.items():
        write_evidence(tmp_path / "evidence", {f"{column}s.jsonl": [{"task": "t", "n": SECRET}]})
        given = {"source_path": "source_path", "source_class": "'verdict'"} | {column: value}
        columns = ", ".join(f"{expression} as {name}" for name, expression in given.items())
        mapping = f"-- One row per item.\nselect {columns}, item_number, json ->> 'task' as task_id from raw.item\n"
        (tmp_path / "sql/2_sources").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"sql/2_sources/{column}s.sql").write_text(mapping, encoding="utf-8")
    done = etl("run-all", "--root", tmp_path)
    assert done.exit_code == 1
    details = etl("sql", "select source, reason, detail from evidence.skipped", "--root", tmp_path, "--json").json
    assert {row["source"] for row in details} == {"evidence", *(f"{column}s" for column in LEAKS)}
    assert SECRET not in json.dumps(details) + done.stdout + done.stderr
    assert not [file for file in (tmp_path / "reports").rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
