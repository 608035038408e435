"""Documents that were edited, and whose hashes were all computed anew, contradict each other: verify finds it.

Every number, hash and truth value of all documents of five runs is edited; ``pytest -m slow`` asks verify itself, kind by kind.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from conftest import copy_of, etl, evidence_line, write_evidence
from forgery import HEAD, Forger, Steps, values_of
from tampering import REPORTS, Tree

from etl.base.project import Project
from etl.base.settings import Settings
from etl.pipeline.stages import STAGES
from etl.receipts.agreement import RunDocuments, contradictions
from etl.receipts.chain import check_chain
from etl.receipts.models import DriftReport, RunSummary, StageReceipt
from etl.receipts.remake import Remaker
from etl.receipts.report import summary_page
from etl.receipts.store import load_history
from etl.receipts.verify import verify_all
from etl.warehouse.sql_files import Sql

HASH = re.compile(r"[0-9a-f]{64}")

#: The fields from which alone nothing follows, nor from anything else: document and field, with * for any name or place.
FREE = (
    # the clock
    "*.json duration_ms",
    # whether a file was read, or known by what the file system says of it
    "*.json *.files.*.carried",
    # of evidence that has changed since, so that no other run names these bytes, nor are they on disk
    "collect.json inputs.files.*.bytes",
    # how many rows the version before had on another side of the split: no document says which
    "export-*.json splits.moved",
    # files that are ignored are listed nowhere
    "collect.json files.ignored*",
    # what the user asked for: whether a failed run would have gone on, whether a stage would have been reused
    "summary.json request.fail_fast",
    "summary.json request.force",
    "summary.json request.rehash",
    # settings that decide nothing here: what would have to change before drift says something, and what is forgotten
    "summary.json request.settings.drift_*",
    "summary.json request.settings.history_runs",
    # the lock file of the machine that ran it; the SQL before it is known
    "summary.json materials.1.sha256",
)


def publish_five_runs(root: Path) -> None:
    """Make a run, one that fails, one that skips an item, one that reuses most, and one that reuses all."""
    lines = [
        evidence_line("a", verdict="accept", run_id="1"),
        evidence_line("a", verdict="reject", run_id="2", response="Worse."),
        evidence_line("b", verdict="partial"),
        evidence_line("c", verdict="escalate"),
        "",
    ]
    write_evidence(root / "evidence", {"evidence.jsonl": lines, "README.md": ["A page."], ".etlignore": ["*.tmp"], "x.tmp": []})
    with zipfile.ZipFile(root / "evidence" / "evidence.zip", "w") as archive:
        archive.writestr("more.jsonl", json.dumps(evidence_line("d", verdict="accept")) + "\n")
        archive.writestr("README.md", "Another page.\n")
    assert etl("run-all", "--root", root).exit_code == 0
    with (root / "evidence" / "evidence.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("not json\n")
    for command in (["run-all", "--fail-fast"], ["run-all"], ["run", "export-sft", "--force"], ["run-all"]):
        assert etl(*command, "--root", root).exit_code == 1
    (root / "warehouse" / "etl.duckdb").unlink()  # it knows the hashes that the summaries had


@pytest.fixture(scope="module")
def five_runs(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Give the root of the five runs."""
    return Tree(copy_of(publish_five_runs, tmp_path_factory.mktemp("forgery")))


@pytest.fixture
def tree(five_runs: Tree) -> Iterator[Tree]:
    """Give that root; a test's changes are undone."""
    yield five_runs
    five_runs.restore()


def other(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return ("1" if value[0] == "0" else "0") + value[1:]
    return value + 1


def editable(tree: Tree, run: str) -> list[tuple[str, Steps, Any]]:
    """Return each number, hash and truth value of a run's documents and head: its document's path, the steps to it, itself."""
    paths = [path for path in tree.documents if path.startswith(f"{REPORTS}/{run}/") and path.endswith(".json")]
    every = [(path, *found) for path in (*paths, HEAD) for found in values_of(tree.json(path))]
    return [found for found in every if isinstance(found[2], int | float) or HASH.fullmatch(str(found[2]))]


def failed(tree: Tree) -> dict[str, str]:
    """Return what fails, with the reason: by the files alone, or if nothing does, by what is made again too."""
    project = Project.at(tree.root)
    by_files = {check.what: check.detail for check in check_chain(project) if check.status == "failed"}
    return by_files or {check.what: check.detail for check in verify_all(project, STAGES) if check.status == "failed"}


def is_free(path: str, steps: Steps) -> bool:
    """Return whether nothing else determines a field."""
    field = f"{path.rpartition('/')[2]} {'.'.join(map(str, steps))}"
    return any(fnmatchcase(field, pattern) for pattern in FREE)


def missed(tree: Tree, fields: list[tuple[str, Steps, Any]]) -> list[tuple[str, Steps]]:
    """Edit each of these fields alone, with all hashes computed anew; return those whose edit nothing finds."""
    not_found = []
    for path, steps, value in fields:
        forger = Forger(tree)
        forger.edit(path, steps, other(value))
        forger.write()
        if not failed(tree):
            not_found.append((path, steps))
        tree.restore()
    return not_found


@pytest.mark.slow
def test_verify_finds_an_edit_of_each_kind_of_field(tree: Tree) -> None:
    """Of the run that reuses most, each kind of field that is not free is edited once; verify finds all edits."""
    fields = [field for field in editable(tree, tree.runs[3]) if not is_free(*field[:2])]
    kinds = {(path, *(step for step in steps if isinstance(step, str))): (path, steps, value) for path, steps, value in fields}
    assert len(kinds) > 140
    assert missed(tree, list(kinds.values())) == []


@pytest.fixture(scope="module")
def remaker(five_runs: Tree) -> Iterator[Remaker]:
    """Give what makes the documents of the five runs again."""
    sql = Sql.packaged()
    with closing(load_history(Project.at(five_runs.root), sql, Settings(), documents_only=True)) as history:
        yield Remaker(history, sql, STAGES)


def documents_of(forger: Forger, run: str) -> RunDocuments:
    """Return the documents of a run as they are edited, with the page that says what they do. Raises ValueError."""

    def read(name: str) -> bytes:
        return json.dumps(forger.document(f"{REPORTS}/{run}/{name}")).encode()

    summary = RunSummary.of_json(read("summary.json"))
    receipts = {stage.name: StageReceipt.of_json(read(f"{stage.name}.json")) for stage in summary.stages}
    drift = DriftReport.of_json(read("drift.json"))
    return RunDocuments(summary, receipts, drift, summary_page(summary, list(receipts.values()), drift))


def contradicts(forger: Forger, at: int, remaker: Remaker) -> bool:
    """Return whether the documents of a run, as they are edited, contradict each other or what is made again."""
    earlier = [run for run in forger.tree.runs[:at] if forger.document(f"{REPORTS}/{run}/summary.json")["published"]]
    try:
        run = documents_of(forger, forger.tree.runs[at])
    except ValueError:
        return True
    before = documents_of(Forger(forger.tree), earlier[-1]) if earlier else None
    return any(contradictions(run, before)) or any(remaker.differences(run))


@pytest.mark.parametrize("at", range(5))
def test_every_field_follows_from_others(tree: Tree, remaker: Remaker, at: int) -> None:
    """Each number, hash and truth value of a run that is not free is edited alone: its documents or the files say so."""
    fields = [field for field in editable(tree, tree.runs[at]) if not is_free(*field[:2])]
    assert len(fields) > 140
    consistent = []
    for path, steps, value in fields:
        forger = Forger(tree)
        forger.edit(path, steps, other(value))
        if path == HEAD or not contradicts(forger, at, remaker):
            consistent.append((path, steps, value))
    assert len(consistent) < 30
    assert missed(tree, consistent) == []


#: What is edited in the third run (document, steps, value), where verify finds it, and what it says.
EXAMPLES: dict[str, tuple[list[tuple[str, Steps, Any]], str, str]] = {
    "counts of a stage": (
        [("score.json", ("stats", "rejected"), 2)],
        "score.json",
        "inputs.record_count is 5, but 6 follows from stats; stats.rejected is 2, but 1 follows from counts_by_reason.rejected",
    ),
    "a count by reason": (
        [("export-rag.json", ("counts_by_reason", "quarantined"), {"empty_content": 9})],
        "export-rag.json",
        "stats.quarantined is 2, but 9 follows from counts_by_reason.quarantined",
    ),
    "the second book of collect": (
        [("collect.json", ("items", "part"), 1)],
        "collect.json",
        "stats.accepted is 5, but 6 follows from items.mapped and items.part",
    ),
    "the files of collect": (
        [("collect.json", ("files", "read"), 7)],
        "collect.json",
        "files.read is 7, but 2 follows from inputs.files",
    ),
    "outcomes at the pairing": (
        [("export-preference.json", ("records", "by_outcome", "paired"), 3)],
        "export-preference.json",
        "records.in is 5, but 6 follows from records.by_outcome",
    ),
    "what a stage handed on": (
        [("score.json", ("outputs", "files", 0, "sha256"), "0" * 64)],
        "export-rag.json",
        "follows from score.json",
    ),
    "the receipt of another stage": (
        [("export-rag.json", ("stage",), "export-sft")],
        "export-rag.json",
        "stage is export-sft, but export-rag follows from its name",
    ),
    "a receipt of another run": (
        [("score.json", ("run_id",), "20260101T000000Z-0003")],
        "score.json",
        "run_id is 20260101T000000Z-0003, but",
    ),
    "a total": ([("summary.json", ("total_accepted",), 99)], "summary.json", "total_accepted is 99, but"),
    "a dataset": (
        [("summary.json", ("datasets", "sft"), 99)],
        "summary.json",
        "datasets.sft is 99, but 2 follows from the receipts",
    ),
    "the hash of the run": ([("summary.json", ("run_hash",), "0" * 64)], "summary.json", f"run_hash is {'0' * 64}, but"),
    "a run that passed": ([("summary.json", ("overall_passed",), True)], "summary.json", "overall_passed is True, but False"),
    "a stage that is said to be reused": (
        [("score.json", ("status",), "reused")],
        "score.json",
        "status is reused, but ok follows from made_by",
    ),
    "an alert that is hushed": (
        [("drift.json", ("severity",), "ok"), ("drift.json", ("flags",), [])],
        "drift.json",
        "severity is ok, but warn follows from the receipts",
    ),
    "rows of a published file": (
        [("export-sft.json", ("outputs", "files", 0, "record_count"), 99)],
        "export-sft.json",
        "outputs.files.0.record_count is 99, but 3 follows from stats.quarantined",
    ),
    "a setting": (
        [("summary.json", ("request", "settings", "accept_at"), 0.8)],
        "score.json",
        "follows from request.settings of summary.json",
    ),
    "a document that is not bound": ([("summary.json", ("documents",), [])], "summary.json", "documents is [], but ["),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_verify_says_what_contradicts_what(tree: Tree, name: str) -> None:
    """A field is edited and all hashes are computed anew: a sentence names the document, the field and what it contradicts."""
    edits, where, what = EXAMPLES[name]
    forger = Forger(tree)
    for document, steps, value in edits:
        forger.edit(f"{REPORTS}/{tree.runs[2]}/{document}", steps, value)
    forger.write()
    assert what in failed(tree)[f"{tree.runs[2]}/{where}"]
    assert what in json.dumps(etl("verify", tree.runs[2], "--root", tree.root, "--json").json)


def test_hashes_that_are_computed_anew_are_those_that_were(tree: Tree) -> None:
    """Without an edit nothing fails."""
    forger = Forger(tree)
    forger.document(f"{REPORTS}/{tree.runs[0]}/score.json")
    forger.write()
    assert failed(tree) == {}


def test_rows_that_were_moved_in_all_books(tree: Tree) -> None:
    """All documents since a run say that one row more shipped, and agree; but the published file has as many rows as before."""
    forger = Forger(tree)
    for run in tree.runs[2:]:
        receipt, summary = (forger.document(f"{REPORTS}/{run}/{name}") for name in ("export-rag.json", "summary.json"))
        (stage,) = [stage for stage in summary["stages"] if stage["name"] == "export-rag"]
        for entry in receipt["outputs"]["files"]:
            entry["record_count"] += -1 if "quarantine" in entry["path"] else 1
        (reason,) = receipt["counts_by_reason"]["quarantined"].keys() & {"unsafe_rag_category"}
        receipt["counts_by_reason"]["quarantined"][reason] -= 1
        receipt["splits"]["train"] += 1
        for stats in (receipt["stats"], stage["stats"]):
            stats["accepted"], stats["quarantined"] = stats["accepted"] + 1, stats["quarantined"] - 1
        for counts, name in ((receipt["outputs"], "record_count"), (stage, "records_out"), (summary["datasets"], "rag")):
            counts[name] += 1
        for name, by in (("records_out", 1), ("accepted", 1), ("quarantined", -1)):
            summary[f"total_{name}"] += by
    forger.write()
    assert failed(tree) == {
        f"exports/{stem}/part-00001{ending}": f"the receipt's record_count is {said}, but {found} follows from the file"
        for stem, said, found in (("quarantine/rag", 1, 2), ("rag/playbooks", 4, 3))
        for ending in (".jsonl", ".parquet")
    }


def test_a_key_that_stands_twice(tree: Tree) -> None:
    """A document in which a key stands twice is damaged, although one of its values agrees with the other documents."""
    path = f"{REPORTS}/{tree.runs[2]}/score.json"
    forger = Forger(tree)
    forger.replace(path, tree.of(path).replace(b'"blank": 0', b'"blank": 7, "blank": 0'))
    forger.write()
    assert 'Detected duplicate key "blank"' in failed(tree)[f"{tree.runs[2]}/score.json"]


def test_pages_that_say_something_else(tree: Tree) -> None:
    """Both pages say what the other documents do, line by line."""
    path = f"{REPORTS}/{tree.runs[0]}/summary.md"
    forger = Forger(tree)
    forger.replace(path, tree.of(path).replace(b": passed, published.", b": not passed, published."))
    forger.write()
    tree.write(f"{REPORTS}/latest.md", tree.of(f"{REPORTS}/latest.md").replace(b"| no |", b"| yes |"))
    told = failed(tree)
    assert told.keys() == {f"{tree.runs[0]}/summary.md", "latest.md"}
    assert told[f"{tree.runs[0]}/summary.md"].startswith("line 3 is Run 1, started at 20")
    assert told["latest.md"] == "it does not follow from the receipts"
