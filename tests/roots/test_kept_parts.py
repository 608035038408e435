"""A part of a dataset in which nothing changed is neither written nor read back: it is a second name of the published files."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import copy_of, etl, evidence_line, write_evidence
from increments import REPORTS, assert_as_fresh, run, settle

from etl.base.datasets import DATASETS, Dataset
from etl.export import export
from etl.export.rows import RECORD
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage

#: Nothing is rejected in another record: a broken first layer of the firewall, which no decision shows.
NO_REJECTION = """-- Nothing is rejected elsewhere.
select 1::bigint as record_key, 'rejected_attempt' as defect, '' as detail, where false
"""


def lines(name: str, tasks: int) -> list[dict[str, Any]]:
    """Return a good and a bad answer for each of so many tasks."""
    return [
        evidence_line(f"{name}-{task}", run_id=f"{name}-{task}-{verdict}", verdict=verdict, response=f"To {task}: {verdict}.")
        for task in range(tasks)
        for verdict in ("accept", "reject")
    ]


def publish(root: Path) -> None:
    """Publish a version of one file of evidence."""
    write_evidence(root / "evidence", {"evidence/m.jsonl": lines("m", 120)})
    (root / "etl.toml").write_text("part_items = 100\n")
    run(root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with several parts."""
    return copy_of(publish, tmp_path)


def inodes(root: Path) -> dict[str, int]:
    """Return the inodes of the published files by their paths."""
    return {str(file.relative_to(root)): file.stat().st_ino for file in (root / "exports").glob("*/*/*")}


def outputs(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of the newest run's exported files."""
    folder = root / REPORTS / json.loads((root / REPORTS / "head").read_bytes())["run_id"]
    for dataset in DATASETS:
        yield from json.loads((folder / f"{dataset.stage}.json").read_bytes())["outputs"]["files"]


def grow(root: Path, *more: dict[str, Any]) -> None:
    """Let the file of evidence grow."""
    with (root / "evidence/evidence/m.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in more)


def test_a_file_that_grows_changes_the_part_that_holds_its_end(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """All other parts are the published files, whose hashes are carried; datasets and receipts are as those of a fresh run."""
    grow(root, *lines("old", 1))
    run(root)  # the files of a root that was copied are read once, as the file system does not know them
    before = inodes(root)
    last = {max(path for path in before if path.startswith(f"exports/{stem}/")) for stem in ("rag", "sft", "quarantine/rag")}
    grow(root, *lines("new", 1))
    run(root)
    after = inodes(root)
    assert before.keys() <= after.keys()
    changed = {path for path in before if before[path] != after[path]}
    assert len(before) > 40
    assert 0 < len(changed) <= 12
    assert last <= changed
    assert {entry["path"] for entry in outputs(root) if not entry["carried"]} == changed
    assert etl("verify", "--root", root).exit_code == 0
    fresh = tmp_path_factory.mktemp("fresh")
    (fresh / "etl.toml").write_text("part_items = 100\n")
    assert_as_fresh(root, fresh)


def test_parts_that_move_keep_their_files(root: Path) -> None:
    """A new file before the others makes parts of its own, so the parts behind it have other numbers, and the same files."""
    before = inodes(root)
    write_evidence(root / "evidence", {"evidence/a.jsonl": lines("a", 60)})
    run(root)
    after = inodes(root)
    without_rows = {path for path in before if "/quarantine/preference/" in path}
    assert {before[path] for path in before.keys() - without_rows} <= {*after.values()}
    assert any(before[path] != after[path] for path in before)
    assert etl("verify", "--root", root).exit_code == 0


def test_a_part_that_somebody_changed_is_written_anew(root: Path) -> None:
    """What is published is what the run decided, whatever stood in the file."""
    file = root / "exports/rag/playbooks/part-00001.jsonl"
    text = file.read_bytes()
    file.write_bytes(text.replace(b"accept", b"ACCEPT"))
    settle(root / "exports")
    grow(root, *lines("new", 1))
    run(root)
    assert file.read_bytes() == text


@pytest.mark.parametrize("options", [("--force",), ("--include-partial", "--include-review"), ("--set", "part_items=90")])
def test_parts_are_written_anew_where_that_is_asked_for(root: Path, options: tuple[str, ...]) -> None:
    """With --force, or with another setting that the rows or their files depend on, no file of before is used."""
    before = inodes(root)
    grow(root, *lines("new", 1))
    run(root, *options)
    assert not {*before.values()} & {inode for path, inode in inodes(root).items() if "/rag/" in path or "/sft/" in path}


@pytest.mark.parametrize("dataset", DATASETS, ids=[dataset.name for dataset in DATASETS])
def test_kept_parts_are_judged_again(root: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where new evidence rejects a content and no view says so, the re-read alone still refuses the part that ships it."""
    write_evidence(root, {"sql/4_scored/rejection.sql": NO_REJECTION.splitlines()})
    run(root)
    before = inodes(root)
    # without a run it is no side of a pair
    grow(root, evidence_line("m-3", run_id=None, verdict="reject", response="To 3: accept."))
    settle(root / "evidence")
    for judge in ("audit", "audit_again"):
        monkeypatch.setattr(export, judge, only_of(dataset, getattr(export, judge)))
    done = etl("run-all", "--root", root)
    assert done.exit_code == 1
    assert "part-00001" in done.stderr
    assert "content is rejected in another record" in done.stderr
    assert inodes(root) == before


def only_of(dataset: Dataset, judge: Callable[..., None]) -> Callable[..., None]:
    """Return what judges the parts of a dataset, and no others."""
    return lambda *given: judge(*given) if dataset in given else None


def test_decisions_and_records_are_all_that_a_dataset_is_made_of(warehouse: Warehouse) -> None:
    """So a part whose records and decisions are the same has the same rows."""
    reads = Lineage.of(warehouse).reads
    views = {name for (name,) in warehouse.execute("select schema_name || '.' || view_name from duckdb_views()")}
    tables = {name for (name,) in warehouse.execute("select schema_name || '.' || table_name from duckdb_tables()")}
    for dataset in DATASETS:
        assert reads[dataset.relation] & (views | tables) == {dataset.decisions, RECORD}
