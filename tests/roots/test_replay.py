"""Replay repeats an earlier run, byte for byte, or says what prevents it, or where the outputs differ."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from conftest import SEEDS, Line, copy_of, etl, evidence_line, write_evidence

from etl.export.writer import Written, write_files

LINES: list[Line] = [
    evidence_line("a", verdict="accept", run_id="1", response="Good.", cited_paths=["known.py"]),
    evidence_line("a", verdict="reject", run_id="2", response="Bad."),
    evidence_line("b", verdict="partial"),
    evidence_line("c", verdict="escalate", cited_paths=["unknown.py"]),
    "not json",
]


#: A mapping that makes one record of all files of a folder, which a file names that is none of the evidence.
TRIALS = """\
-- One row per trial.
-- grain: folder trial.md
select
    min(source_path) as source_path,
    1::bigint as item_number,
    'telemetry' as source_class,
    unit as task_id,
    list(struct_pack(source_path := source_path, item_number := item_number)) as parts,
from raw.item
group by unit
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with one published run."""
    return copy_of(publish_lines, tmp_path)


def publish_lines(root: Path) -> None:
    """Publish a run of two files, with lines that are skipped."""
    write_evidence(root / "evidence", {"evidence.jsonl": LINES, "facts/more.jsonl": LINES[:1]})
    assert etl("run-all", "--root", root).exit_code == 1


def newest(root: Path) -> str:
    """Return the newest run."""
    return str(etl("receipts", "--root", root, "--json").json["summary"]["run_id"])


@pytest.mark.slow
def test_random_runs(tmp_path: Path) -> None:
    """Two runs for each seed, of random evidence, flags and settings, are replayed to the byte after evidence has grown."""
    chance = random.Random(20)
    (tmp_path / "manifest.txt").write_text("known.py\n", encoding="utf-8")
    runs = []
    lines: list[Line] = []
    for number in range(2 * SEEDS):
        lines += [
            evidence_line(
                f"t{chance.randrange(12)}",
                run_id=f"{number}-{at}",
                verdict=chance.choice(["accept", "reject", "partial", "escalate", "odd", None]),
                score=chance.choice([None, 0.1, 0.6, 0.95]),
                response=chance.choice(["Yes.", "No.", "", f"Answer {at}."]),
                cited_paths=chance.choice([[], ["known.py"], ["unknown.py"]]),
            )
            for at in range(chance.randrange(1, 9))
        ]
        lines += chance.choice([[], ["not json"], [""], ['{"a": 1, "a": 2}']])
        write_evidence(tmp_path / "evidence", {"evidence.jsonl": lines})
        flags: list[str | Path] = []
        for choice in (
            ["--include-partial"],
            ["--include-review"],
            ["--known-paths", tmp_path / "manifest.txt"],
            ["--set", f"accept_at={chance.choice([0.6, 0.95])}"],
            ["--set", f"max_pairs_per_task={chance.choice([1, 2])}"],
            ["--set", "threads=1"],
            ["--force"],
        ):
            flags += choice if chance.random() < 0.4 else []
        etl("run-all", "--root", tmp_path, *flags)
        runs.append(newest(tmp_path))
    for run_id in runs:
        found = etl("replay", run_id, "--root", tmp_path, "--json")
        assert [output["difference"] for output in found.json["outputs"] if not output["is_equal"]] == []
        assert (found.exit_code, len(found.json["outputs"])) == (0, 14)


def test_the_root_stays_as_it_is(root: Path) -> None:
    """A replay publishes nothing and writes no receipt."""
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
    assert etl("replay", "--root", root).exit_code == 0
    assert {file: file.read_bytes() for file in root.rglob("*") if file.is_file()} == before


@pytest.mark.slow
def test_a_run_of_some_stages(root: Path) -> None:
    """A run that reused stages is replayed whole."""
    etl("run", "export-sft", "--root", root, "--include-partial")
    assert etl("replay", newest(root), "--root", root).exit_code == 0


def test_evidence_that_grew(root: Path) -> None:
    """A log that has grown is read as far as the run read it; a new file is ignored."""
    run_id = newest(root)
    with (root / "evidence/evidence.jsonl").open("ab") as log:
        log.write(b"{}\n")
    write_evidence(root / "evidence", {"later.jsonl": LINES})
    assert etl("replay", run_id, "--root", root).exit_code == 0


@pytest.mark.slow
def test_evidence_elsewhere(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Evidence that was moved is given with --evidence; without it the sentence says which file is missing."""
    moved = (root / "evidence").rename(tmp_path_factory.mktemp("moved") / "evidence")
    refused = etl("replay", "--root", root)
    assert refused.exit_code == 2
    assert str(root / "evidence/evidence.jsonl") in refused.stderr
    assert "cannot be read now (No such file or directory)" in refused.stderr
    assert etl("replay", "--root", root, "--evidence", moved).exit_code == 0


def test_an_ignored_file_that_ends_a_unit(tmp_path: Path) -> None:
    """A file that no rule reads can say by its name which files make one record; a replay has files of those names."""
    mapping = tmp_path / "sql/2_sources/trials.sql"
    mapping.parent.mkdir(parents=True)
    mapping.write_text(TRIALS, encoding="utf-8")
    for trial in "ab":
        write_evidence(tmp_path / f"evidence/trials/{trial}", {"1/log.jsonl": [{"n": 1}], "2/log.jsonl": [{"n": 2}]})
        (tmp_path / f"evidence/trials/{trial}/trial.md").write_bytes(b"A trial.")
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    count = "select count(*)::int as records from evidence.record"
    assert etl("sql", count, "--root", tmp_path, "--json").json == [{"records": 2}]
    done = etl("replay", newest(tmp_path), "--root", tmp_path)
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize("content", [b"", b"{}\n" * 900])
def test_rewritten_evidence(root: Path, content: bytes) -> None:
    """Evidence with other bytes is refused, and its file is named."""
    (root / "evidence/evidence.jsonl").write_bytes(content)
    refused = etl("replay", "--root", root)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert f"{root / 'evidence/evidence.jsonl'}: its bytes are not those that the run read" in refused.stderr


@pytest.mark.slow
def test_another_manifest(root: Path) -> None:
    """A manifest of known paths that lists other paths is refused."""
    manifest = root / "manifest.txt"
    manifest.write_text("known.py\n", encoding="utf-8")
    etl("run-all", "--root", root, "--known-paths", manifest)
    assert etl("replay", "--root", root).exit_code == 0
    manifest.write_text("known.py\nunknown.py\n", encoding="utf-8")
    refused = etl("replay", "--root", root)
    assert refused.exit_code == 2
    assert "it does not name the paths that run" in refused.stderr


@pytest.mark.slow
def test_a_failed_run(root: Path) -> None:
    """A run that published nothing cannot be compared."""
    etl("run-all", "--root", root, "--fail-fast", "--force")
    refused = etl("replay", newest(root), "--root", root)
    assert refused.exit_code == 2
    assert "published nothing that could be compared" in refused.stderr


def test_an_input_that_leads_out(root: Path) -> None:
    """A receipt that was edited to name a file outside the evidence folder is not followed."""
    receipt = root / "reports/distillation" / newest(root) / "collect.json"
    receipt.write_text(
        receipt.read_text(encoding="utf-8").replace('"path": "evidence.jsonl"', '"path": "../secret"', 1), encoding="utf-8"
    )
    refused = etl("replay", "--root", root)
    assert refused.exit_code == 2
    assert "leads out of the evidence folder" in refused.stderr


def test_the_first_differing_row(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an output differs, the first row that does is named by its number, ids and columns; the exit code is 1."""

    def write_swapped(stem: Path, schema: Any, metadata: Any, tables: Iterable[Any]) -> Written:
        swapped = (rows.take([1, 0, *range(2, len(rows))]) if len(rows) > 1 else rows for rows in tables)
        return write_files(stem, schema, metadata, swapped)

    monkeypatch.setattr("etl.export.export.write_files", write_swapped)
    monkeypatch.setattr("etl.export.export.audit", lambda *_: None)
    found = etl("replay", "--root", root, "--json")
    assert found.exit_code == 1
    differences = {output["path"]: output["difference"] for output in found.json["outputs"] if not output["is_equal"]}
    assert set(differences) >= {"exports/rag/playbooks/part-00001.jsonl", "exports/rag/playbooks/part-00001.parquet"}
    assert differences["exports/rag/playbooks/part-00001.jsonl"].startswith("row 1 is the first that differs (in ")
    assert "(in id" in differences["exports/rag/playbooks/part-00001.parquet"]


@pytest.mark.slow
def test_other_code_is_said(root: Path) -> None:
    """If the SQL has changed, the replay says so, and what differs."""
    overlay = root / "sql" / "1_policy"
    overlay.mkdir(parents=True)
    words = "-- Words.\nselect word.verdict, word.category, from (values ('accept', 'rejected')) as word (verdict, category)\n"
    (overlay / "verdict.sql").write_text(words, encoding="utf-8")
    found = etl("replay", "--root", root, "--json")
    assert (found.exit_code, found.json["same_code"]) == (1, False)
    assert "The code or the engine is not that of the run" in etl("replay", "--root", root).stdout


@pytest.mark.slow
def test_replaced_files_cannot_be_compared_row_by_row(root: Path) -> None:
    """If a run's files were replaced since, the replay says that bytes differ, and why it cannot name a row."""
    first = newest(root)
    write_evidence(root / "evidence", {"evidence.jsonl": [*LINES, *LINES[:1]]})
    overlay = root / "sql" / "1_policy"
    overlay.mkdir(parents=True)
    words = "-- Words.\nselect word.verdict, word.category, from (values ('accept', 'rejected')) as word (verdict, category)\n"
    (overlay / "verdict.sql").write_text(words, encoding="utf-8")
    etl("run-all", "--root", root)
    found = etl("replay", first, "--root", root, "--json").json
    differences = {output["path"]: output["difference"] for output in found["outputs"]}
    assert "the file has been replaced since" in differences["exports/rag/playbooks/part-00001.jsonl"]
    assert differences["scored.run"] == "the relation has different rows"
