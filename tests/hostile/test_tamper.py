"""Every change in a root is found, by the product and by a verifier that shares no code with it.

``pytest -m slow`` tries one history with each kind of change 4 times, and a history for each of 12 seeds with 180 changes
each.
"""

import gzip
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import verifier
from conftest import SEEDS, etl, evidence_line, write_evidence
from forgery import Forger
from tampering import KINDS, REPORTS, Tree, rebind

from etl.base.project import Project
from etl.pipeline import publish
from etl.pipeline.stages import STAGES
from etl.pipeline.staging import Staging
from etl.receipts.chain import check_chain
from etl.receipts.models import FileEntry, StageReceipt, aggregate_hash, run_hash
from etl.receipts.verify import verify_all
from etl.warehouse.sql_files import Sql

VERDICTS = ("accept", "reject", "partial", "escalate", None)
BAD = ["not json", '{"prompt": 1}', '{"a": 1, "a": 2}', "[]"]
#: After this many changes the warehouse is checked as well: that takes ten times as long as the files.
ASK_EVERY = 15


class History:
    """A root with several runs, drawn from a seed; whenever it is untouched, both verifiers must find nothing."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.rng = root, random.Random(seed)
        self.lines, self.untouched = 0, 0
        self.statuses: Counter[str] = Counter()
        (root / "evidence").mkdir(parents=True)
        if seed % 2:
            (root / "exports").mkdir()
            (root / "exports" / "README.md").write_text("mine\n", encoding="utf-8")
            (root / "exports" / ".gitkeep").touch()
        self.assert_intact()

    def live(self) -> None:
        """Run the product: once first, then in an order drawn from the seed."""
        rng = self.rng
        self.append("evidence.jsonl", rng.randint(3, 12))
        self.append("evidence/more.jsonl", rng.randint(1, 4))
        packed = "".join(f"{json.dumps(self.line())}\n" for _ in range(rng.randint(1, 3))).encode()
        (self.root / "evidence" / "packed.jsonl.gz").write_bytes(gzip.compress(packed, mtime=0))
        acts = [self.reuse_and_part, self.stop_at_a_bad_line, self.break_sql, self.set_something, self.grow]
        rng.shuffle(acts)
        if rng.random() < 0.25:
            acts.insert(0, self.stop_at_a_bad_line)  # the first run fails: nothing is published yet
        else:
            self.run("run-all")
        for act in acts:
            act()
        if rng.random() < 0.3:
            (self.root / "warehouse" / "etl.duckdb").unlink()
            self.assert_intact()
            self.run("run-all")

    def line(self) -> dict[str, Any]:
        """Return another line."""
        self.lines += 1
        return evidence_line(f"t{self.rng.randrange(4)}", run_id=f"r{self.lines}", verdict=self.rng.choice(VERDICTS),
                             response=f"Answer {self.lines}.")  # fmt: skip

    def append(self, name: str, count: int = 1, *more: str) -> None:
        """Append lines to a file of evidence."""
        file = self.root / "evidence" / name
        file.parent.mkdir(exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in (*more, *(json.dumps(self.line()) for _ in range(count))))

    def run(self, *command: str) -> None:
        """Run a command that makes a run, and verify the root then, and with evidence that grew or vanished."""
        before = len(self.runs())
        code = etl(*command, "--root", self.root).exit_code
        assert code in {0, 1, 3}
        assert len(self.runs()) == before + 1
        summary = json.loads((self.root / REPORTS / self.runs()[-1] / "summary.json").read_bytes())
        self.statuses.update({stage["status"] for stage in summary["stages"]})
        self.statuses["published"] += summary["published"]
        self.statuses["skipped"] += summary["total_skipped"]
        self.assert_intact()
        file = self.root / "evidence" / "evidence.jsonl"
        content = file.read_bytes()
        for now in (content + b"{}\n", None):
            file.unlink() if now is None else file.write_bytes(now)
            self.assert_intact()
        file.write_bytes(content)

    def runs(self) -> list[str]:
        """Return the ids of the runs, oldest first."""
        return sorted(folder.name for folder in (self.root / REPORTS).glob("*/"))

    def assert_intact(self) -> None:
        """Assert that both verifiers find nothing."""
        self.untouched += 1
        failed = [check for check in verify_all(Project.at(self.root), STAGES) if check.status == "failed"]
        assert (failed, verifier.check(self.root)) == ([], [])

    def reuse_and_part(self) -> None:
        """Run again, perhaps with every stage reused, and then some stages with --force."""
        self.run("run-all")
        self.run("run", self.rng.choice(["export-all", "export-sft", "score"]), "--force")

    def stop_at_a_bad_line(self) -> None:
        """Fail at a bad line; the line stays, and later runs skip it."""
        self.append("evidence.jsonl", 0, self.rng.choice(BAD))
        self.run("run-all", "--fail-fast")

    def break_sql(self) -> None:
        """Fail in a view, which is removed afterwards."""
        overlay = self.root / "sql" / "6_datasets"
        overlay.mkdir(parents=True)
        sft = Sql.of(self.root / "nowhere").files["sql/6_datasets/sft.sql"]
        broken = sft.replace("    decision.id,", "    error('boom') as id,")
        (overlay / "sft.sql").write_text(broken, encoding="utf-8")
        self.run("run-all")
        shutil.rmtree(self.root / "sql")

    def set_something(self) -> None:
        """Run with other settings."""
        self.run("run-all", self.rng.choice(["--include-partial", "--include-review", "--set=max_pairs_per_task=1"]))

    def grow(self) -> None:
        """Run with more evidence, or with a rewritten line."""
        if self.rng.random() < 0.5:
            self.append("evidence.jsonl", 2, "")
        else:
            file = self.root / "evidence" / "evidence" / "more.jsonl"
            file.write_bytes(file.read_bytes().replace(b"Answer", b"Anwser"))
        self.run("run-all")


def change_and_find(tree: Tree, rng: random.Random, times: int) -> int:
    """Change the root in each way so often, and undo each change; both verifiers find each. Returns the number of changes."""
    project, tried, changes = Project.at(tree.root), Counter[str](), 0
    for number in range(times * len(KINDS)):
        kind = KINDS[number % len(KINDS)]
        kind(rng, tree)
        if tree.read() != tree.content:
            changes, tried[kind.__name__] = changes + 1, tried[kind.__name__] + 1
            checks = check_chain(project) if changes % ASK_EVERY else verify_all(project, STAGES)
            failed = [check for check in checks if check.status == "failed"]
            assert (bool(failed), bool(verifier.check(tree.root))) == (True, True), (number, kind.__name__, failed)
        tree.restore()
    assert tree.read() == tree.content
    assert set(tried) == {kind.__name__ for kind in KINDS}
    return changes


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Give a history of at least seven runs."""
    history = History(tmp_path_factory.mktemp("history") / "root", seed=0)
    history.live()
    return history


@pytest.fixture
def tree(history: History) -> Iterator[Tree]:
    """Give the root of the history; a test's changes are undone."""
    tree = Tree(history.root)
    yield tree
    tree.restore()


@pytest.mark.slow
def test_a_history_has_all_sorts_of_runs(history: History) -> None:
    """The history has stages that ran, were reused, failed and were not run, and skipped lines."""
    assert {"ok", "reused", "failed", "not_run", "skipped"} <= {status for status, count in history.statuses.items() if count}
    assert history.statuses["published"] >= 4
    assert history.untouched >= 3 * 7


@pytest.mark.slow
def test_each_kind_of_change_is_found(tree: Tree) -> None:
    """Four random changes of each kind: both verifiers find every one."""
    assert change_and_find(tree, random.Random(1), times=4) >= 3 * len(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_every_change_is_found_and_no_untouched_root_is_accused(
    seed: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A history for each seed, verified about 25 times untouched, then changed 180 times: no false alarm, no miss."""
    history = History(tmp_path / "root", seed)
    history.live()
    assert history.untouched >= 17
    assert {"ok", "reused", "failed"} <= history.statuses.keys()
    changes = change_and_find(Tree(history.root), random.Random(seed), times=7)
    assert changes >= 167
    print(f"seed {seed}: {history.untouched} untouched roots, {changes} changes")
    record_property("untouched", history.untouched)
    record_property("changes", changes)


def document(at: int, name: str) -> Callable[[Tree], str]:
    """Return a function that returns the path of a document of the run at this place in the order."""
    return lambda tree: f"{REPORTS}/{tree.runs[at]}/{name}"


def edit(path: str | Callable[[Tree], str], content: bytes | None = None) -> Callable[[Tree], None]:
    """Return a change: a file gets one more byte at its end, or this content."""

    def change(tree: Tree) -> None:
        file = path if isinstance(path, str) else path(tree)
        tree.write(file, tree.of(file) + b" " if content is None else content)

    return change


def remove(*at: int) -> Callable[[Tree], None]:
    """Return a change: the runs at these places are removed."""
    return lambda tree: [shutil.rmtree(tree.root / REPORTS / tree.runs[place]) for place in at] and None


SFT, QUARANTINE = "exports/sft/instruction_response/part-00001.jsonl", "exports/quarantine/rag/part-00001.parquet"
HEAD = f"{REPORTS}/head"

#: What is changed; where verify finds it; what it says, with run ids in braces and {n} for the number of runs.
EXAMPLES: dict[str, tuple[Callable[[Tree], Any], str, str]] = {
    "a receipt": (edit(document(0, "collect.json")), "{0}/collect.json", "changed since run 1 ({0}) wrote it"),
    "a drift report": (edit(document(2, "drift.json")), "{2}/drift.json", "changed since run 3 ({2}) wrote it"),
    "a page": (edit(document(1, "summary.md"), b""), "{1}/summary.md", "changed since run 2 ({1}) wrote it"),
    "a document that is gone": (
        lambda tree: (tree.root / document(1, "score.json")(tree)).unlink(),
        "{1}/score.json",
        "it is gone, or was changed since run 2 ({1}) wrote it",
    ),
    "a summary": (
        edit(document(0, "summary.json")),
        "{1}/summary.json",
        "the summary of run 1 ({0}) was changed or exchanged since run 2 ({1}) recorded its hash",
    ),
    "a summary that is none": (edit(document(1, "summary.json"), b"{}"), "{1}/summary.json", "missing or damaged"),
    "the newest summary": (edit(document(-1, "summary.json")), "head", "it does not name run {n} ({-1}), whose summary has"),
    "head": (edit(HEAD, b"{}"), "head", "it is missing or damaged"),
    "head, in other bytes": (edit(HEAD), "head", "it names run {n} ({-1}), but its bytes are not those that were written"),
    "no head": (lambda tree: (tree.root / HEAD).unlink(), "head", "it is missing or damaged"),
    "the newest run is gone": (remove(-1), "head", "it names run {n}; the runs after run {n-1} ({-2}) were removed"),
    "the second run is gone": (remove(1), "{2}/summary.json", "it is run 3, and run 2 before it cannot be found"),
    "the first runs are gone": (remove(0, 1), "{2}/summary.json", "it is run 3, and runs 1 to 2 before it cannot be found"),
    "every run is gone": (
        lambda tree: [shutil.rmtree(tree.root / REPORTS / run) for run in tree.runs],
        "head",
        "it names run {n}; the runs after the beginning were removed",
    ),
    "folders changed names": (
        lambda tree: tree.exchange(*(f"{REPORTS}/{run}" for run in tree.runs[:2])),
        "{0}/summary.json",
        "it is the summary of run 2 ({1})",
    ),
    "a run's copy": (
        lambda tree: shutil.copytree(tree.root / REPORTS / tree.runs[0], tree.root / REPORTS / "copy"),
        "copy/summary.json",
        "it is the summary of run 1 ({0})",
    ),
    "a folder among the runs": (
        lambda tree: (tree.root / REPORTS / "other").mkdir(), "other/summary.json", "missing or damaged",
    ),
    "a file in a run": (
        lambda tree: tree.write(document(1, "more.json")(tree), b"{}"), "{1}/more.json", "run 2 ({1}) did not write it",
    ),
    "an output": (edit(SFT), SFT, "its bytes are not those of the receipt"),
    "a quarantine": (edit(QUARANTINE, b""), QUARANTINE, "its bytes are not those of the receipt"),
    "an output that is gone": (lambda tree: (tree.root / SFT).unlink(), SFT, "the file is gone"),
    "a file in exports": (lambda tree: tree.write("exports/rag/more.jsonl", b""), "exports/rag/more.jsonl", "no receipt"),
    "a link in exports": (
        lambda tree: (tree.root / "exports/a.parquet").symlink_to(tree.root / "evidence"), "exports/a.parquet", "no receipt",
    ),
    "evidence": (
        lambda tree: tree.write("evidence/evidence.jsonl", tree.of("evidence/evidence.jsonl")[:-1]),
        "evidence.jsonl",
        "its bytes are not those that were collected",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_verify_says_what_was_changed_and_since_which_run(tree: Tree, name: str) -> None:
    """One change: exit code 1, and a sentence that names the file, and the run since which it is wrong."""
    change, where, what = EXAMPLES[name]
    assert etl("verify", "--all", "--root", tree.root).exit_code == 0
    change(tree)
    result = etl("verify", "--all", "--root", tree.root, "--json")
    ids = {str(at): tree.runs[at] for at in (0, 1, 2)} | {str(at): tree.runs[at] for at in (-1, -2)}
    ids |= {"n": str(len(tree.runs)), "n-1": str(len(tree.runs) - 1)}
    for key, value in ids.items():
        where, what = where.replace(f"{{{key}}}", value), what.replace(f"{{{key}}}", value)
    failed = {check["what"]: check["detail"] for check in result.json if check["status"] == "failed"}
    assert result.exit_code == 1
    assert what in failed[where]
    assert verifier.check(tree.root)


@pytest.mark.slow
def test_the_independent_verifier_as_a_program(tree: Tree) -> None:
    """It runs without any installed package; an untouched root is intact, a changed one is reported with exit code 1."""
    command = [sys.executable, "-I", "-S", verifier.__file__, tree.root]
    intact = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (intact.returncode, intact.stdout, intact.stderr) == (0, "Intact.\n", "")
    (tree.root / SFT).write_bytes(b"")
    changed = subprocess.run(command, capture_output=True, text=True, check=False)
    published = [run for run in tree.runs if tree.json(f"{REPORTS}/{run}/summary.json")["published"]][-1]
    assert (changed.returncode, changed.stdout) == (1, f"{SFT}: it is not what run {published} published.\n")


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root whose second run made one dataset again and reused everything else."""
    root = tmp_path_factory.mktemp("two")
    lines = [evidence_line("a", verdict="accept"), evidence_line("b", verdict="reject")]
    write_evidence(root / "evidence", {"evidence.jsonl": lines})
    assert etl("run-all", "--root", root).exit_code == 0
    assert etl("run", "export-rag", "--force", "--root", root).exit_code == 0
    return root


@pytest.fixture
def pair(two_runs: Path) -> Iterator[Tree]:
    """Give the root with two runs; a test's changes are undone."""
    tree = Tree(two_runs)
    yield tree
    tree.restore()


def add_bad_line(root: Path) -> None:
    """Append a line to the evidence that is skipped."""
    with (root / "evidence" / "evidence.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("not json\n")


def point_head(tree: Tree, run: str) -> str:
    """Let head name a run with its present summary; return the hash that head names."""
    digest = sha256((tree.root / REPORTS / run / "summary.json").read_bytes()).hexdigest()
    head = {"schema_version": 1, "seq": tree.runs.index(run) + 1, "run_id": run, "sha256": digest}
    tree.write(HEAD, (json.dumps(head, indent=2) + "\n").encode())
    return digest


def failed(root: Path, *arguments: str) -> list[str]:
    """Return what verify --all says failed."""
    checks = etl("verify", "--all", "--root", root, "--json", *arguments).json
    return [check["what"] for check in checks if check["status"] == "failed"]


def files_failed(root: Path) -> bool:
    """Return whether the product's check of the files alone finds something."""
    return any(check.status == "failed" for check in check_chain(Project.at(root)))


def test_a_tail_cut_together_with_head_is_seen_by_the_warehouse_or_a_pinned_head(pair: Tree) -> None:
    """The newest run is removed and head set back: the files alone look intact; the warehouse and a pin reveal it."""
    pinned = pair.json(HEAD)["sha256"]
    shutil.rmtree(pair.root / REPORTS / pair.runs[1])
    (pair.root / REPORTS / "latest.md").unlink()
    older = point_head(pair, pair.runs[0])
    assert (files_failed(pair.root), verifier.check(pair.root)) == (False, [])
    assert failed(pair.root) == ["warehouse"]
    assert failed(pair.root, "--head", pinned) == ["pinned head", "warehouse"]
    assert verifier.check(pair.root, pinned) == [f"pinned head: no run has a summary with the hash {pinned}."]
    assert (verifier.check(pair.root, older), failed(pair.root, "--head", older)) == ([], ["warehouse"])


@pytest.mark.slow
def test_a_failed_run_cut_together_with_head_is_seen_by_a_pinned_head_alone(two_runs: Path, tmp_path: Path) -> None:
    """The warehouse learns of a failed run only from the next run that builds one: until then only a pin shows its removal."""
    root = Path(shutil.copytree(two_runs, tmp_path / "root"))
    add_bad_line(root)
    assert etl("run-all", "--fail-fast", "--root", root).exit_code == 1
    tree = Tree(root)
    pinned = tree.json(HEAD)["sha256"]
    assert (failed(root, "--head", pinned), verifier.check(root, pinned)) == ([], [])
    shutil.rmtree(root / REPORTS / tree.runs[2])
    (root / REPORTS / "latest.md").unlink()
    point_head(tree, tree.runs[1])
    assert (failed(root), verifier.check(root)) == ([], [])
    assert failed(root, "--head", pinned) == ["pinned head"]
    assert len(verifier.check(root, pinned)) == 1


def test_a_run_forged_through_to_head_is_seen_by_the_warehouse_or_a_pinned_head(pair: Tree) -> None:
    """An output is edited, and every hash in both runs that follows: the files agree, but not with the warehouse or a pin."""
    pinned = pair.json(HEAD)["sha256"]
    before, content = sha256(pair.of(SFT)).hexdigest(), pair.of(SFT).replace(b"answer", b"ANSWER")
    pair.write(SFT, content)
    forger = Forger(pair)
    for run in pair.runs:
        documents = {name: forger.document(f"{REPORTS}/{run}/{name}") for name in ("export-sft.json", "summary.json")}
        outputs, summary = documents["export-sft.json"]["outputs"], documents["summary.json"]
        (entry,) = [entry for entry in outputs["files"] if entry["sha256"] == before]
        entry["sha256"] = sha256(content).hexdigest()
        outputs["hash"] = aggregate_hash(map(FileEntry.model_validate, outputs["files"]))
        (stage,) = [stage for stage in summary["stages"] if stage["name"] == "export-sft"]
        stage["outputs_hash"] = outputs["hash"]
        receipts = [forger.document(f"{REPORTS}/{run}/{stage['name']}.json") for stage in summary["stages"]]
        summary["run_hash"] = run_hash(map(StageReceipt.model_validate, receipts))
    forger.write()
    assert (files_failed(pair.root), verifier.check(pair.root)) == (False, [])
    assert failed(pair.root) == ["warehouse"]
    assert failed(pair.root, "--head", pinned) == ["pinned head", "warehouse"]
    assert len(verifier.check(pair.root, pinned)) == 1


SHAPES: dict[str, tuple[bytes, bytes]] = {
    "a field more": (b'"schema_version": 1,', b'"schema_version": 1, "note": "",'),
    "a field more further down": (b'"rejected": ', b'"more": 0, "rejected": '),
    "a field less": (b'"published": true,', b""),
    "another version": (b'"schema_version": 1', b'"schema_version": 2'),
    "a number as text": (b'"seq": 2', b'"seq": "2"'),
    "a whole number as a fraction": (b'"total_accepted": ', b'"total_accepted": 1.0, "total_accepted": 0.0e'),
    "a truth value as a number": (b'"published": true', b'"published": 1'),
    "a number as a truth value": (b'"total_skipped": 0', b'"total_skipped": false'),
    "a number below zero": (b'"total_skipped": 0', b'"total_skipped": -1'),
    "a status that there is not": (b'"status": "reused"', b'"status": "fine"'),
    "a time that is none": (b'"started_at": "20', b'"started_at": "'),
    "null": (b'"run_hash": "', b'"run_hash": null, "was": "'),
    "a mark before the first byte": (b"{", b"\xef\xbb\xbf{"),
    "bytes that are no text": (b'"materials": [', b'"mat\xff": ['),
    "a list": (b"{", b"[{"),
    "nothing": (b"{", b""),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_a_forged_summary_has_the_shape_of_one(pair: Tree, name: str) -> None:
    """Head names the newest summary's hash, but the file is not a valid summary: both verifiers refuse it."""
    path, (old, new) = document(1, "summary.json")(pair), SHAPES[name]
    assert old in pair.of(path)
    pair.write(path, pair.of(path).replace(old, new, 1))
    point_head(pair, pair.runs[1])
    assert (files_failed(pair.root), bool(verifier.check(pair.root))) == (True, True)


def test_a_forged_summary_counts_on_from_the_one_before_it(pair: Tree) -> None:
    """Head names it, and it names the summary before it, but it is run 3 after run 1: both verifiers miss run 2."""
    path = document(1, "summary.json")(pair)
    pair.write(path, pair.of(path).replace(b'"seq": 2', b'"seq": 3'))
    point_head(pair, pair.runs[1])
    head = pair.root / HEAD
    head.write_bytes(head.read_bytes().replace(b'"seq": 2', b'"seq": 3'))
    assert failed(pair.root) == [f"{pair.runs[1]}/summary.json", f"{pair.runs[1]}/summary.md", "warehouse"]
    assert verifier.check(pair.root) == [f"{pair.runs[1]}: it does not follow on the run before it."]


@pytest.mark.parametrize("content", [b"[]", b"{}", b"", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("name", ["collect.json", "score.json"])
def test_a_forged_receipt_has_the_shape_of_one(pair: Tree, name: str, content: bytes) -> None:
    """Summary and head bind a file that is not a receipt of the published run: both verifiers refuse it."""
    path = document(1, name)(pair)
    pair.write(path, content)
    rebind(pair, pair.runs[1])
    point_head(pair, pair.runs[1])
    assert f"{pair.runs[1]}/{name}" in failed(pair.root)
    assert verifier.check(pair.root) == [f"{pair.runs[1]}/{name}: it is no receipt."]


def test_before_the_first_run(tmp_path: Path) -> None:
    """Without a run there is nothing to find; but a head, or a data file in exports/, must come from elsewhere."""
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "README.md").touch()
    assert (failed(tmp_path), verifier.check(tmp_path)) == ([], [])
    (tmp_path / "exports" / "more.jsonl").touch()
    assert failed(tmp_path) == ["exports/more.jsonl"]
    assert len(verifier.check(tmp_path)) == 1
    (tmp_path / "exports" / "more.jsonl").unlink()
    (tmp_path / REPORTS).mkdir(parents=True)
    (tmp_path / HEAD).write_text("null\n", encoding="utf-8")
    assert failed(tmp_path) == ["head"]
    assert len(verifier.check(tmp_path)) == 1


@pytest.mark.slow
def test_evidence_that_lies_elsewhere(two_runs: Path, tmp_path: Path) -> None:
    """With --evidence, other bytes are found, also in a file that has grown; that it has grown, or is missing, is no fault."""
    root, evidence = Path(shutil.copytree(two_runs, tmp_path / "root")), tmp_path / "elsewhere"
    (root / "evidence").rename(evidence)
    assert (failed(root), verifier.check(root)) == ([], [])
    file = evidence / "evidence.jsonl"
    collected = file.read_bytes()
    file.write_bytes(collected.replace(b"answer", b"ansver"))
    assert failed(root, "--evidence", str(evidence)) == ["evidence.jsonl"]
    assert len(verifier.check(root, evidence=evidence)) == 1
    file.write_bytes(file.read_bytes() + b"\n")
    assert failed(root, "--evidence", str(evidence)) == ["evidence.jsonl"]
    assert len(verifier.check(root, evidence=evidence)) == 1
    file.write_bytes(collected + b"\n")
    assert (failed(root, "--evidence", str(evidence)), verifier.check(root, evidence=evidence)) == ([], [])


class Cut(BaseException):
    """The process dies here."""


def cut_before_head(patch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    """Cut a run when its folder is among the others, but head is not there yet."""
    replace = Path.replace

    def until_head(self: Path, target: Path) -> Path:
        if self.name == "head" and Path(target).parent.name == "distillation":
            raise error(5, "Input/output error", str(target))
        return replace(self, target)

    patch.setattr(Path, "replace", until_head)


def kill(root: Path, *options: str, method: str, when: str) -> subprocess.CompletedProcess[bytes]:
    """Run everything in another process, which dies when a method of Path is called under a condition."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom etl.cli.app import app\n"
        f"method = Path.{method}\n"
        f"def die(self, *more, **named):\n    if {when}:\n        os._exit(9)\n    return method(self, *more, **named)\n"
        f"Path.{method} = die\nsys.argv = ['etl', 'run-all', *sys.argv[1:]]\napp()\n"
    )
    return subprocess.run([sys.executable, "-c", code, "--root", root, *options], capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("step", [*range(1, len(publish.STEPS)), "head"])
def test_recover_repairs_a_cut_publish_step(
    two_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int | str
) -> None:
    """Wherever the publish is cut, etl recover finishes it, and verify --all finds everything as recorded."""
    root = Path(shutil.copytree(two_runs, tmp_path / "root"))
    write_evidence(root / "evidence", {"evidence.jsonl": [evidence_line("c", verdict="accept")]})

    def die(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        if step == "head":
            cut_before_head(patch, Cut)
        else:
            patch.setattr(publish, "STEPS", (*publish.STEPS[:step], die))
        with pytest.raises(Cut):
            etl("run-all", "--root", root)
    assert bool(verifier.check(root)) == files_failed(root) == (step in {1, 2, 3, 4, "head"})
    assert etl("recover", "--root", root).exit_code == 0
    assert etl("verify", "--all", "--root", root).exit_code == 0
    assert verifier.check(root) == []
    assert json.loads((root / HEAD).read_bytes())["seq"] == 3


@pytest.mark.slow
def test_recover_repairs_head_of_a_failed_run(two_runs: Path, tmp_path: Path) -> None:
    """A failed run is killed between its folder and head: etl recover writes head, and everything is as recorded."""
    root = Path(shutil.copytree(two_runs, tmp_path / "root"))
    add_bad_line(root)
    killed = kill(
        root, "--fail-fast", method="replace", when="self.name == 'head' and Path(more[0]).parent.name == 'distillation'"
    )
    assert killed.returncode == 9
    assert len(verifier.check(root)) == 1
    assert files_failed(root)
    assert etl("recover", "--root", root).exit_code == 0
    assert etl("verify", "--all", "--root", root).exit_code == 0
    assert verifier.check(root) == []
    summary = etl("receipts", "--root", root, "--json").json["summary"]
    assert (summary["seq"], summary["stages"][0]["status"]) == (3, "failed")


@pytest.mark.slow
def test_a_run_killed_under_other_settings(two_runs: Path, tmp_path: Path) -> None:
    """The drift of a killed run is judged by its own settings, and so its documents are as verify makes them again."""
    root = Path(shutil.copytree(two_runs, tmp_path / "root"))
    lines = [evidence_line(f"t{number}", verdict="accept") for number in range(200)]
    write_evidence(root / "evidence", {"evidence/more.jsonl": lines})
    is_written = "self.parent.name == 'chosen_rejected' and self.suffix == '.jsonl' and more == ('wb',)"
    killed = kill(root, "--set=drift_threshold=1000", method="open", when=is_written)
    assert (killed.returncode, etl("recover", "--root", root).exit_code) == (9, 0)
    drift = json.loads(max((root / REPORTS).glob("*/drift.json")).read_text(encoding="utf-8"))
    judged_by_default = etl("drift", drift["run_id"], "--root", root, "--json").json
    assert (drift["severity"], judged_by_default["severity"]) == ("ok", "alert")
    assert (failed(root), verifier.check(root)) == ([], [])


@pytest.mark.slow
def test_recover_repairs_head_that_the_system_refused(two_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses the head of a failed run: the error is reported, and etl recover writes head."""
    root = Path(shutil.copytree(two_runs, tmp_path / "root"))
    add_bad_line(root)
    with monkeypatch.context() as patch:
        cut_before_head(patch, OSError)
        assert etl("run-all", "--fail-fast", "--root", root).exit_code == 1
    assert etl("recover", "--root", root).exit_code == 0
    assert etl("verify", "--all", "--root", root).exit_code == 0
    assert verifier.check(root) == []
    assert not Staging(Project.at(root)).build.exists()
