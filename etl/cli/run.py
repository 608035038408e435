"""The commands that run stages, or say what a run would do: run-all, run, plan, recover, replay, accept."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.opening import look_at, open_history, project_at, report_cut_run
from etl.cli.options import Evidence, Inputs, Manner, Root, RunId
from etl.cli.result import Answer

if TYPE_CHECKING:
    from etl.pipeline.run import Outcome


def run_all(inputs: Inputs, manner: Manner) -> Answer:
    """Run every stage whose inputs changed, then publish: collect, score, export-rag, export-sft, export-preference."""
    return _run([], inputs, manner)


def run(
    stages: Annotated[list[str], typer.Argument(metavar="STAGE…", help="Stages; export-all names the three exports.")],
    inputs: Inputs,
    manner: Manner,
) -> Answer:
    """Run the named stages whose inputs changed, then publish; the other stages are reused."""
    return _run(stages, inputs, manner)


def _run(stages: list[str], inputs: Inputs, manner: Manner) -> Answer:
    from etl.console.show import progress_bars, show_counts, show_outcome
    from etl.pipeline.dry_run import dry_run
    from etl.pipeline.run import execute

    with progress_bars() as progress:
        request = manner.request(inputs, stages, progress)
        if manner.dry_run:
            counts = dry_run(request)
            return Answer(counts, partial(show_counts, counts, request.project))
        outcome = execute(request)
    return Answer(outcome.summary, partial(show_outcome, outcome, request.project), _exit_code(outcome), outcome.error)


def _exit_code(outcome: "Outcome") -> int:
    if not outcome.summary.overall_passed:
        return 1
    return 3 if outcome.report.drift.severity == "alert" else 0


def plan(
    inputs: Inputs,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 if a stage must run.")] = False,
) -> Answer:
    """Show which stages a run would run, which it would reuse, and why; takes the options of run-all."""
    from etl.console.show import show_plan
    from etl.pipeline.dry_run import plan as plan_of

    request = inputs.request()
    report_cut_run(request.project)
    found = plan_of(request)
    return Answer(found, partial(show_plan, found), 1 if check and found.stale else 0)


def recover(root: Root = Path()) -> Answer:
    """Finish what a cut run left: publish the rest, or write its receipts; the next run does the same."""
    from etl.pipeline.recover import recover as finish

    said = finish(project_at(root))
    return Answer({"done": said}, partial(typer.echo, said))


def replay(run_id: RunId = None, root: Root = Path(), evidence: Evidence = None) -> Answer:
    """Repeat an earlier run in a scratch folder and compare every byte; exit code 1 if one differs."""
    from etl.console.show import progress_bars, show_replay
    from etl.pipeline.replay import replay as replay_of
    from etl.receipts.store import require_run

    project = look_at(root)
    with open_history(project) as history:
        wanted = require_run(history, run_id)
    with progress_bars() as progress:
        found = replay_of(project, wanted, evidence, progress)
    return Answer(found, partial(show_replay, found), 0 if found.is_equal else 1)


def accept() -> Answer:
    """Test every promise of the product on a bundled fixture, in a scratch folder; exit code 1 if one is broken."""
    from etl.console.show import show_gates
    from etl.pipeline.selftest import accept as gates_of

    found = gates_of()
    return Answer(found, partial(show_gates, found), 0 if found.passed else 1)
