"""The loop over the stages: a stage is audited while the next one runs, and a failure is reported for its own stage."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import etl, evidence_line, write_evidence

from etl.base.datasets import Dataset
from etl.base.errors import AuditError, StageError
from etl.base.settings import Settings
from etl.context import Run, Stage
from etl.export import export
from etl.pipeline.stages import run_stages
from etl.warehouse.connection import Warehouse

#: The stages of these tests ignore the run; there is memory for two at once, or there is not.
NO_RUN: Any = SimpleNamespace(settings=Settings(memory_limit="4GB"))
SMALL_RUN: Any = SimpleNamespace(settings=Settings(memory_limit="3.9GB"))

#: Seconds after which a thread gives up waiting for another one.
PATIENCE = 20

EVIDENCE = [evidence_line("a", verdict="accept", run_id="1"), evidence_line("b", verdict="reject", run_id="2")]


def nothing() -> None:
    """Audit nothing."""


class Watch:
    """An observer that keeps what it saw, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @contextmanager
    def __call__(self, stage: Stage) -> Iterator[None]:
        """See a stage begin and end."""
        self.seen.append(f"{stage.name} begins")
        yield
        self.seen.append(f"{stage.name} ends")


def test_a_stage_is_proven_while_the_next_one_runs() -> None:
    """The audit of the first stage waits for the second to begin, and the second's body for that audit: both end."""
    begun, proven = threading.Event(), threading.Event()

    def prove() -> None:
        assert begun.wait(PATIENCE)
        proven.set()

    def second(_run: Run) -> None:
        begun.set()
        assert proven.wait(PATIENCE)

    watch = Watch()
    run_stages(NO_RUN, (Stage("first", lambda _: prove), Stage("second", second)), watch)
    assert watch.seen[:2] == ["first begins", "second begins"]
    assert watch.seen.index("first ends") < watch.seen.index("second ends")


@pytest.mark.parametrize("run", [NO_RUN, SMALL_RUN])
def test_what_comes_at_last_runs_beside_the_last_proof(run: Run) -> None:
    """The last audit runs beside the final step if there is memory for both; otherwise it ends before."""
    seen: list[str] = []
    at_last = threading.Event()

    def prove() -> None:
        if run is NO_RUN:
            assert at_last.wait(PATIENCE)
        seen.append("proven")

    def do_at_last() -> None:
        at_last.set()
        seen.append("at last")

    run_stages(run, (Stage("only", lambda _: prove),), at_last=do_at_last)
    assert sorted(seen) == ["at last", "proven"]
    assert run is NO_RUN or seen == ["proven", "at last"]


@pytest.mark.parametrize("run", [NO_RUN, SMALL_RUN])
def test_nothing_comes_at_last_after_a_failure(run: Run) -> None:
    """If a stage fails, or the audit of a stage before the last, the final step does not begin."""
    begun: list[str] = []
    fails, proves_badly = (Stage("a", lambda _: fail()), Stage("b", lambda _: fail))
    for stages in ((fails,), (proves_badly, Stage("c", lambda _: None), Stage("d", lambda _: None))):
        with pytest.raises(StageError):
            run_stages(run, stages, at_last=lambda: begun.append("at last"))
    assert begun == []


def test_a_failure_at_last_waits_for_the_proof() -> None:
    """An error of the final step is raised when the last audit has ended; if that fails too, its error is raised."""
    seen: list[str] = []
    failing = threading.Event()

    def prove() -> None:
        assert failing.wait(PATIENCE)
        seen.append("proven")

    def prove_badly() -> None:
        prove()
        fail()

    def fail_at_last() -> None:
        failing.set()
        raise AuditError("at last")

    for proof, error in ((prove, AuditError), (prove_badly, StageError)):
        failing.clear()
        with pytest.raises(error):
            run_stages(NO_RUN, (Stage("only", lambda _, proof=proof: proof),), at_last=fail_at_last)
    assert seen == ["proven", "proven"]


def test_no_stage_is_two_ahead_of_a_proof() -> None:
    """A stage begins only when the audit of the stage before the previous one has ended."""
    watch = Watch()
    names = [str(number) for number in range(5)]
    proof = partial(time.sleep, 0.05)  # so long that a stage which did not wait for it would begin before it ends
    run_stages(NO_RUN, tuple(Stage(name, lambda _: proof) for name in names), watch)
    for name, later in zip(names, names[2:], strict=False):
        assert watch.seen.index(f"{name} ends") < watch.seen.index(f"{later} begins")
    assert [seen for seen in watch.seen if seen.endswith("ends")] == [f"{name} ends" for name in names]


def test_where_memory_is_small_stages_do_not_overlap() -> None:
    """Under a small limit a stage has ended before the next one begins."""
    watch = Watch()
    run_stages(SMALL_RUN, (Stage("first", lambda _: nothing), Stage("second", lambda _: None)), watch)
    assert watch.seen == ["first begins", "first ends", "second begins", "second ends"]


def fail() -> None:
    """Fail as a stage does."""
    raise StageError("wrong")


@pytest.mark.parametrize("place", ["body", "proof"])
def test_the_first_that_fails_stops_the_stages(place: str) -> None:
    """A stage that fails does not end, nor do the stages after it, nor a stage that began beside a failing audit."""
    watch = Watch()
    body: Callable[[Run], Any] = {"body": lambda _: fail(), "proof": lambda _: fail}[place]
    stages = (Stage("good", lambda _: nothing), Stage("bad", body), Stage("next", lambda _: nothing), Stage("last", body))
    with pytest.raises(StageError, match="wrong"):
        run_stages(NO_RUN, stages, watch)
    assert [seen for seen in watch.seen if seen.endswith("ends")] == ["good ends"]
    assert "last begins" not in watch.seen


def test_of_two_that_fail_the_first_is_told() -> None:
    """If the audit of a stage fails, and the body of the next stage too, the error and the failure are those of the first."""
    failing = threading.Event()

    def prove() -> None:
        assert failing.wait(PATIENCE)
        raise StageError("the first")

    def second(_run: Run) -> None:
        failing.set()
        raise StageError("the second")

    with pytest.raises(StageError, match="the first"):
        run_stages(NO_RUN, (Stage("first", lambda _: prove), Stage("second", second)))


@pytest.mark.parametrize("stage", ["export-rag", "export-preference"])
def test_a_failed_proof_is_told_of_its_own_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """Receipts name the stage whose files are wrong, not the stage that ran meanwhile; nothing is published."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    audit = export.audit

    def refuse(run: Run, written: Any, rows: Any, dataset: Dataset | None = None) -> None:
        if dataset and dataset.stage == stage:
            raise AuditError("The bytes are wrong.")
        audit(run, written, rows, dataset)

    monkeypatch.setattr(export, "audit", refuse)
    result = etl("run-all", "--root", tmp_path, "--json")
    assert (result.exit_code, "The bytes are wrong." in result.stderr) == (1, True)
    stages = {entry["name"]: entry["status"] for entry in result.json["stages"]}
    before, after = list(stages)[: list(stages).index(stage)], list(stages)[list(stages).index(stage) + 1 :]
    assert {stages[name] for name in before} == {"ok"}
    assert stages[stage] == "failed"
    assert {stages[name] for name in after} <= {"not_run"}
    assert not (tmp_path / "exports").exists()


@pytest.mark.parametrize(
    "stage", ["export-preference", *(pytest.param(it, marks=pytest.mark.slow) for it in ("export-rag", "export-all"))]
)
def test_scores_that_are_carried_over_are_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """An export that runs alone computes scores once, first; otherwise each of its queries would, in memory for all records."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    held: list[str] = []
    materialise = Warehouse.materialise

    def watch(warehouse: Warehouse, view: str) -> None:
        if view not in warehouse._materialised:
            held.append(view)
        materialise(warehouse, view)

    monkeypatch.setattr(Warehouse, "materialise", watch)
    result = etl("run", stage, "--root", tmp_path, "--force", "--json")
    assert {entry["name"]: entry["status"] for entry in result.json["stages"]}["score"] == "reused"
    assert held[:5] == [f"scored.{it}" for it in ("run", "task_group", "shared_content", "shared_turn", "eligibility")]
    assert len(held) == len(set(held))
