"""Same input, same bytes: whatever the threads, zone, locale, hash seed, path and order of files."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import pytest
from conftest import REPOSITORY, SAMPLE, SHARED_DATA, write_evidence

sys.path.append(str(REPOSITORY / "bench"))

from generate import write

#: Lines of the large input: ``make test-slow ETL_LINES=1000000`` takes more of them.
LINES = int(os.environ.get("ETL_LINES", "210000"))


def run(root: Path, evidence: Path, *flags: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Run everything in a process of its own and return the sha256 of each exported file by its path."""
    root.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "etl", "run-all", "--root", str(root), "--evidence", str(evidence), *flags]
    done = subprocess.run(command, env=dict(os.environ) | (env or {}), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 3), done.stderr  # 3: drift alerts, as all of the evidence follows half of it
    assert (root / "warehouse" / "etl.duckdb").is_file(), done.stderr
    return {
        file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((root / "exports").rglob("*"))
        if file.suffix in {".jsonl", ".parquet"}
    }


def kept_records(root: Path) -> set[tuple[str, int, int]]:
    """Return path, line and key of each record in the warehouse; keys follow the order in which records are read."""
    with duckdb.connect(str(root / "warehouse" / "etl.duckdb"), read_only=True) as warehouse:
        rows = warehouse.execute("select source_path, item_number, record_key from evidence.record").fetchall()
    return set(rows)


def copied_in_reverse(evidence: Path, folder: Path) -> Path:
    """Copy the evidence so that its files are created in the opposite order."""
    return copied(evidence, reversed(files_of(evidence)), folder)


def files_of(evidence: Path) -> list[Path]:
    """Return the files that are read, in order."""
    return sorted(file for file in evidence.rglob("*.json*") if file.is_file())


def copied(evidence: Path, files: Iterable[Path], folder: Path) -> Path:
    """Copy files of the evidence to the same places of another folder, and return it."""
    for file in files:
        target = folder / file.relative_to(evidence)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return folder


#: Conditions that must make no difference: threads, zone, locale and hash seed.
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ELSEWHERE = {"TZ": "Asia/Kathmandu", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "7"} | PLAIN
OTHERS = {"TZ": "America/St_Johns", "PYTHONHASHSEED": "0"}


def assert_one_result(evidence: Path, tmp_path: Path) -> dict[str, str]:
    """Run under each condition that must make no difference, compare the hash of each file, and return the hashes."""
    expected = run(tmp_path / "first", evidence, "--set", "threads=1")
    assert len(expected) == 12
    assert run(tmp_path / "a longer path", evidence, "--set", "threads=2", env=ELSEWHERE) == expected
    reversed_evidence = copied_in_reverse(evidence, tmp_path / "reversed")
    assert run(tmp_path / "third", reversed_evidence, "--set", "threads=4", env=OTHERS) == expected
    return expected


def test_names_and_local_times_mean_the_same_everywhere(tmp_path: Path) -> None:
    """File names are UTF-8 under any locale, and a time without an offset that a mapping casts is UTC in any zone."""
    evidence = tmp_path / "evidence"
    mapping = (
        "select 'verdict' as source_class, json ->> 'task' as task_id, source_path as run_id, json ->> 'answer' as response, "
        "'accept' as verdict, (json ->> 'at')::timestamptz as created_at from raw.item\n"
    )
    line = {"task": "t", "answer": "a", "at": "2026-01-31 12:00:00"}
    write_evidence(evidence, {f"logs/{name}.jsonl": [line | {"answer": name}] for name in ("\u00e9-\u65e5", "plain")})
    for name in ("first", "a longer path", "third"):
        write_evidence(tmp_path / name, {"sql/2_sources/logs.sql": [mapping]})
    assert_one_result(evidence, tmp_path)
    with duckdb.connect(str(tmp_path / "third/warehouse/etl.duckdb"), read_only=True) as warehouse:
        times = warehouse.execute("select distinct created_at::varchar from evidence.record").fetchall()
    assert times == [("2026-01-31 12:00:00",)]


def test_sample_gives_the_same_bytes(tmp_path: Path) -> None:
    """The bundled sample gives the same files under every condition."""
    expected = assert_one_result(SAMPLE, tmp_path)
    assert run(tmp_path / "first", SAMPLE, "--set", "threads=1", "--force") == expected, "run twice"


@pytest.mark.slow
@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the shared evidence is not beside the project")
def test_shared_evidence_gives_the_same_bytes(tmp_path: Path) -> None:
    """Real evidence gives the same files under every condition."""
    assert_one_result(SHARED_DATA, tmp_path)


@pytest.mark.slow
def test_many_lines_give_the_same_bytes(tmp_path: Path) -> None:
    """Very many lines give the same files under other conditions, also if half of a file, cut within a line, came before.

    Small inputs fit one block, and hide a race.
    """
    assert LINES >= 210_000
    evidence, growing = tmp_path / "evidence" / "evidence", tmp_path / "growing" / "evidence"
    part = write(evidence / "part-a.jsonl", LINES // 2, seed=1)
    write(evidence / "part-b.jsonl", LINES // 2, seed=2)
    expected = run(tmp_path / "first", evidence.parent, "--set", "threads=1")
    assert run(tmp_path / "a longer path", evidence.parent, "--set", "threads=2", env=ELSEWHERE) == expected
    growing.mkdir(parents=True)
    os.link(evidence / "part-b.jsonl", growing / "part-b.jsonl")
    with part.open("rb") as stream, (growing / "part-a.jsonl").open("wb") as grown:
        grown.write(stream.read(part.stat().st_size // 2))
        grown.flush()
        run(tmp_path / "in steps", growing.parent, "--set", "threads=4", env=OTHERS)
        first = kept_records(tmp_path / "in steps")
        shutil.copyfileobj(stream, grown)
    assert run(tmp_path / "in steps", growing.parent, "--set", "threads=4", env=OTHERS) == expected
    # records stay in place, except for the cut line: only new lines were read; otherwise the other file would have other keys
    assert len(first) > LINES // 2
    assert len(first - kept_records(tmp_path / "in steps")) <= 1


@pytest.mark.slow
def test_increments_give_the_same_bytes(tmp_path: Path) -> None:
    """Evidence that arrives in two parts gives the same files as evidence that arrives at once."""
    files = files_of(SAMPLE)
    growing = copied(SAMPLE, files[: len(files) // 2], tmp_path / "growing")
    run(tmp_path / "root", growing)
    copied(SAMPLE, files[len(files) // 2 :], growing)
    assert run(tmp_path / "root", growing) == run(tmp_path / "at-once", SAMPLE)
