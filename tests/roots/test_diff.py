"""What two runs treat differently: counts, causes, examples, and the relation behind them."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import Line, etl, evidence_line, jsonl, write_evidence

Root = Callable[..., str]

LINES: list[Line] = [
    evidence_line("a", verdict="accept", run_id="1", response="Good."),
    evidence_line("a", verdict="reject", run_id="2", response="Bad."),
    evidence_line("b", verdict="partial"),
    evidence_line("c", score=0.92),
]


@pytest.fixture
def run(tmp_path: Path) -> Root:
    """Give a function that takes evidence and flags, and returns a published run's id."""

    def run_and_name(lines: list[Line], *flags: str | Path) -> str:
        write_evidence(tmp_path / "evidence", {"evidence.jsonl": lines})
        return str(etl("run-all", "--root", tmp_path, "--json", *flags).json["run_id"])

    return run_and_name


def counts(root: Path, before: str, after: str) -> dict[tuple[str, str, str], int]:
    """Return how many rows changed, by dataset, change and cause."""
    found = etl("diff", before, after, "--root", root, "--json").json
    return {(row["dataset"], row["change"], row["cause"]): row["rows"] for row in found["counts"]}


def sample(root: Path, before: str, after: str) -> list[dict[str, Any]]:
    """Return all rows that changed."""
    return list(etl("diff", before, after, "--root", root, "--json", "--sample", "1000").json["sample"])


def test_nothing_changed(run: Root, tmp_path: Path) -> None:
    """Two runs over the same evidence differ in no row, whether the second reused the first or not."""
    first, second, third = run(LINES), run(LINES), run(LINES, "--force")
    assert counts(tmp_path, first, second) == counts(tmp_path, second, third) == {}
    assert "No row changed." in etl("diff", first, third, "--root", tmp_path).stdout


def test_new_lines_and_lines_that_went(run: Root, tmp_path: Path) -> None:
    """A new line enters, a line that is gone leaves with its pair, the others move; in the other direction it is reversed."""
    first = run(LINES)
    second = run([*LINES[1:], evidence_line("d", verdict="accept"), evidence_line("e", verdict="escalate")])
    moved = {("rag", "moved", "line_moved"): 3, ("sft", "moved", "line_moved"): 3}
    assert counts(tmp_path, first, second) == moved | {
        ("preference", "left", "line_gone"): 1,
        ("rag", "entered", "line_new"): 1,
        ("rag", "left", "line_gone"): 1,
        ("rag", "refused", "line_new"): 1,
        ("sft", "entered", "line_new"): 1,
        ("sft", "left", "line_gone"): 1,
        ("sft", "refused", "line_new"): 1,
    }
    assert counts(tmp_path, second, first) == moved | {
        ("preference", "entered", "line_new"): 1,
        ("rag", "dropped", "line_gone"): 1,
        ("rag", "entered", "line_new"): 1,
        ("rag", "left", "line_gone"): 1,
        ("sft", "dropped", "line_gone"): 1,
        ("sft", "entered", "line_new"): 1,
        ("sft", "left", "line_gone"): 1,
    }


def test_a_line_that_only_moved(run: Root, tmp_path: Path) -> None:
    """Lines are known by their content: one that only moved is the same row at another place, which the files name."""
    first, second = run(LINES), run([*LINES[2:], "", *LINES[:2]])
    moved = {("rag", "moved", "line_moved"): 4, ("sft", "moved", "line_moved"): 4, ("preference", "moved", "line_moved"): 1}
    assert counts(tmp_path, first, second) == counts(tmp_path, second, first) == moved
    places = {(row["item_number_before"], row["item_number"]) for row in sample(tmp_path, first, second)}
    assert places == {(1, 4), (2, 5), (3, 1), (4, 2)}


def test_a_file_that_was_renamed(run: Root, tmp_path: Path) -> None:
    """All rows of a renamed file moved, pairs too, and those that do not ship; renamed back, nothing differs from before."""
    first = run(LINES)
    file, folder = tmp_path / "evidence" / "evidence.jsonl", tmp_path / "evidence" / "evidence"
    folder.mkdir()
    file.rename(folder / "older.jsonl")
    second = str(etl("run-all", "--root", tmp_path, "--json").json["run_id"])
    moved = {("rag", "moved", "line_moved"): 4, ("sft", "moved", "line_moved"): 4, ("preference", "moved", "line_moved"): 1}
    assert counts(tmp_path, first, second) == moved
    paths = {(row["source_path_before"], row["source_path"]) for row in sample(tmp_path, first, second)}
    assert paths == {("evidence.jsonl", "evidence/older.jsonl")}
    assert "evidence/older.jsonl:1 (before: evidence.jsonl:1)" in etl("diff", first, second, "--root", tmp_path).stdout
    (folder / "older.jsonl").rename(file)
    third = str(etl("run-all", "--root", tmp_path, "--json").json["run_id"])
    assert (counts(tmp_path, second, third), counts(tmp_path, first, third)) == (moved, {})


def test_one_side_of_a_pair_moved(run: Root, tmp_path: Path) -> None:
    """A pair has the places of both records: it moved where the rejected one alone did."""
    first = run(LINES[:2])
    second = run([LINES[0], "", LINES[1]])
    assert counts(tmp_path, first, second) == {(dataset, "moved", "line_moved"): 1 for dataset in ("rag", "sft", "preference")}


@pytest.mark.slow
def test_a_setting(run: Root, tmp_path: Path) -> None:
    """A row that a setting admits or refuses has the cause setting, and the setting is named with both values."""
    first, second, third = run(LINES), run(LINES, "--include-partial"), run(LINES, "--set", "accept_at=0.95")
    assert counts(tmp_path, first, second) == {("sft", "entered", "setting"): 1}
    assert counts(tmp_path, first, third) == {("rag", "changed", "setting"): 1, ("sft", "left", "setting"): 1}
    found = etl("diff", first, second, "--root", tmp_path, "--json").json
    assert found["settings"] == [{"name": "include_partial", "before": False, "now": True}]
    assert found["same_code"] is True
    assert found["sample"] == [
        {
            "dataset": "sft",
            "change": "entered",
            "cause": "setting",
            "id": found["sample"][0]["id"],
            "source_path": "evidence.jsonl",
            "item_number": 3,
            "record_number": 1,
            "source_path_before": "evidence.jsonl",
            "item_number_before": 3,
            "category_before": "partially_accepted",
            "category_now": "partially_accepted",
            "reason_before": "category_disallowed",
            "reason_now": None,
        }
    ]
    run(LINES, "--include-partial")
    assert found["sample"][0]["id"] in {
        row["id"] for row in jsonl(tmp_path / "exports/sft/instruction_response/part-00001.jsonl")
    }


@pytest.mark.slow
def test_code(run: Root, tmp_path: Path) -> None:
    """A row that another view decides has the cause code."""
    overlay = tmp_path / "sql" / "1_policy"
    overlay.mkdir(parents=True)
    words = "-- Words.\nselect word.verdict, word.category, from (values ('accept', '{}')) as word (verdict, category)\n"
    first = run(LINES)
    (overlay / "verdict.sql").write_text(words.format("accepted"), encoding="utf-8")
    second = run(LINES)
    (overlay / "verdict.sql").write_text(words.format("rejected"), encoding="utf-8")
    third = run(LINES)
    assert counts(tmp_path, first, second)["rag", "left", "code"] == 1
    assert counts(tmp_path, second, third)["sft", "left", "code"] == 1
    assert etl("diff", second, third, "--root", tmp_path, "--json").json["same_code"] is False


@pytest.mark.slow
def test_other_lines(run: Root, tmp_path: Path) -> None:
    """A line that is treated differently because another one came has the cause other_lines."""
    twin = evidence_line("t", verdict="accept", response="Twice.")
    facts = evidence_line("p", source_class="extraction", response="A fact.")
    first = run([facts, twin])
    second = run([facts, twin, evidence_line("p", verdict="accept")])
    assert counts(tmp_path, first, second)["rag", "entered", "other_lines"] == 1


@pytest.mark.slow
def test_identical_lines_are_counted(run: Root, tmp_path: Path) -> None:
    """Of identical lines the first ships and the others are duplicates: one more line is one more duplicate."""
    twin = evidence_line("t", verdict="accept", response="Twice.")
    first, second = run([twin, twin]), run([twin, twin, twin])
    assert counts(tmp_path, first, second) == {("rag", "refused", "line_new"): 1, ("sft", "refused", "line_new"): 1}


def test_relation_in_a_plain_shell(run: Root, tmp_path: Path) -> None:
    """receipts.row_change gives the same rows to anyone who opens the warehouse."""
    first, second = run(LINES), run(LINES[1:])
    query = "select dataset, change, cause from receipts.row_change where from_run_id = ? and to_run_id = ?"
    with duckdb.connect(str(tmp_path / "warehouse/etl.duckdb"), read_only=True) as shell:
        rows = shell.execute(query, [first, second]).fetchall()
    assert Counter(rows) == Counter(counts(tmp_path, first, second))


@pytest.mark.slow
def test_states_cost_only_what_changes(run: Root, tmp_path: Path) -> None:
    """Runs over the same evidence keep one state per row of a dataset; a setting, changed and back, adds what it changed."""
    for flags in ((), ("--force",), ("--include-partial",), ()):
        run(LINES, *flags)
    query = "select dataset, first_seq, last_seq from receipts.row_history"
    states = etl("sql", query, "--root", tmp_path, "--json").json
    assert Counter(row["dataset"] for row in states) == {"rag": len(LINES), "sft": len(LINES) + 2, "preference": 1}
    assert sorted((row["first_seq"], row["last_seq"]) for row in states if row["last_seq"] or row["first_seq"] > 1) == [
        (1, 2), (3, 3), (4, None),
    ]  # fmt: skip


@pytest.mark.slow
def test_old_runs_are_forgotten(run: Root, tmp_path: Path) -> None:
    """States that ended before the last history_runs published runs are dropped, and such a run is refused."""
    few = ("--set", "history_runs=2")
    first = run(LINES, *few)
    second, third = run(LINES[1:], *few), run(LINES[2:], *few)
    states = etl("sql", "select min(last_seq) as oldest from receipts.row_history", "--root", tmp_path, "--json").json
    assert states == [{"oldest": 2}]
    assert etl("diff", second, third, "--root", tmp_path, *few).exit_code == 0
    refused = etl("diff", first, third, "--root", tmp_path, *few)
    assert refused.exit_code == 2
    assert f"Run {first} is older than the last 2 published runs" in refused.stderr


def test_a_run_that_published_nothing(run: Root, tmp_path: Path) -> None:
    """A failed run, and an unknown one, cannot be compared."""
    first = run(LINES)
    failed = run(["not json"], "--fail-fast")
    for name in (failed, "20260101T000000Z-0009"):
        refused = etl("diff", first, name, "--root", tmp_path)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert f"Run {name} did not publish" in refused.stderr


def shipped(root: Path) -> Mapping[str, set[str]]:
    """Return the ids that ship in each dataset."""
    files = {"rag": "rag/playbooks", "sft": "sft/instruction_response", "preference": "preference/chosen_rejected"}
    return {name: {row["id"] for row in jsonl(root / f"exports/{file}/part-00001.jsonl")} for name, file in files.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "flags"),
    [
        (LINES[:1], ()),
        ([*LINES, evidence_line("a", verdict="reject", run_id="3", response="Worse.")], ("--include-partial",)),
        ([evidence_line("z", verdict="accept")], ("--include-review", "--set", "max_pairs_per_task=1")),
    ],
)
def test_entered_and_left_are_what_the_files_say(run: Root, tmp_path: Path, lines: list[Any], flags: tuple[str, ...]) -> None:
    """The rows that entered and left are the difference of the exported files, id by id."""
    first = run(LINES)
    before = shipped(tmp_path)
    second = run(lines, *flags)
    after = shipped(tmp_path)
    rows = sample(tmp_path, first, second)
    for name in before:
        entered = {row["id"] for row in rows if (row["dataset"], row["change"]) == (name, "entered")}
        left = {row["id"] for row in rows if (row["dataset"], row["change"]) == (name, "left")}
        assert (entered, left) == (after[name] - before[name], before[name] - after[name])
