"""A hold-out, as a user gives it: no file has its tasks, and the receipts say what it reserves."""

from pathlib import Path

import pytest
from conftest import etl, evidence_line, jsonl, write_evidence

LINES = [
    evidence_line(task, run_id=f"{task}-{run}", prompt=prompt, response=f"{task} {run}", verdict=verdict)
    for task, prompt in (("one", "Fix it."), ("two", "Fix  it."), ("three", "Test it."), ("four", "Mend it."))
    for run, verdict in (("a", "accept"), ("b", "reject"))
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with evidence of four tasks, of which two share a prompt, and a hold-out."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": LINES})
    (tmp_path / "holdout.txt").write_text("one\nnobody\n", encoding="utf-8")
    return tmp_path


def shipped(root: Path) -> set[str]:
    """Return the tasks that any dataset has."""
    files = [file for file in (root / "exports").rglob("*.jsonl") if "quarantine" not in file.parts]
    return {row["task_id"] for file in files for row in jsonl(file)}


def test_a_holdout_is_in_no_dataset(root: Path) -> None:
    """Nor is what shares its prompts; quarantines name the line, and the run's end the lines that match nothing."""
    result = etl("run-all", "--root", root, "--holdout", root / "holdout.txt")
    assert (result.exit_code, shipped(root)) == (0, {"three", "four"})
    assert "lines of the hold-out name no task of the evidence: 1, line 2;" in result.stderr + result.stdout
    refused = jsonl(root / "exports/quarantine/rag/part-00001.jsonl")
    details = {row["detail"] for row in refused if row["quarantine_reason"] == "reserved_holdout"}
    assert details == {"line 1 of the hold-out"}
    score = etl("receipts", "--root", root, "--json").json["receipts"][1]
    assert score["holdout"] == {"matched": 1, "unmatched": [2], "records": 4}
    outcomes = etl("sql", "select distinct outcome from pairs.record where task_id in ('one', 'two')", "--root", root, "--json")
    assert outcomes.json == [{"outcome": "ineligible"}]
    assert "reserved_holdout" in etl("explain", "one", "--root", root).stdout
    assert etl("verify", "--root", root).exit_code == 0


def test_another_holdout_makes_stages_run(root: Path) -> None:
    """What it names counts, not its bytes; collect need not run again."""
    option = ("--root", root, "--holdout", root / "holdout.txt")
    assert etl("run-all", *option).exit_code == 0
    (root / "holdout.txt").write_text("one\r\nnobody", encoding="utf-8")
    assert etl("plan", *option, "--check").exit_code == 0
    (root / "holdout.txt").write_text('{"prompt": "Test  it.", "answer": 4}\n', encoding="utf-8")
    plan = etl("plan", *option, "--json").json["steps"]
    assert [step["action"] for step in plan] == ["reuse", *["run"] * 4]
    assert etl("run-all", *option).exit_code == 0
    assert shipped(root) == {"one", "two", "four"}


def test_a_replay_needs_the_holdout(root: Path) -> None:
    """It stands in etl.toml here; a replay reads it where the run did, and says so where it has changed."""
    (root / "etl.toml").write_text('holdout = "holdout.txt"\ntest_share = 0.5\n', encoding="utf-8")
    assert etl("run-all", "--root", root).exit_code == 0
    assert etl("replay", "--root", root).exit_code == 0
    (root / "holdout.txt").write_text("two\n", encoding="utf-8")
    result = etl("replay", "--root", root)
    assert (result.exit_code, "it does not name the tasks that run" in result.stderr) == (2, True)
    (root / "holdout.txt").write_text("", encoding="utf-8")
    result = etl("run-all", "--root", root)
    assert result.exit_code == 2
    assert f"{root / 'etl.toml'}:1 names {root / 'holdout.txt'}: it names no task" in result.stderr


def test_shares_that_leave_nothing_are_refused(root: Path) -> None:
    """Both together are at most the whole."""
    result = etl("run-all", "--root", root, "--set", "test_share=0.6", "--set", "validation_share=0.5")
    assert result.exit_code == 2
    assert "validation_share (0.5) and test_share (0.6) must not exceed 1 together" in result.stderr
