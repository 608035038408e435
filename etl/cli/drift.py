"""The command drift: a run against an earlier one, the course of all runs, and the pinned run."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from etl.base.errors import SettingError, UsageError
from etl.cli.opening import look_at, open_history, settings_of
from etl.cli.options import (
    Against,
    Assignments,
    Explain,
    FailOn,
    History,
    Pin,
    Root,
    RunId,
    Threshold,
    Unpin,
    require_one_of,
)
from etl.cli.result import Answer

if TYPE_CHECKING:
    from etl.base.project import Project
    from etl.base.settings import Settings


def drift(
    run_id: RunId = None,
    root: Root = Path(),
    threshold: Threshold = None,
    assignments: Assignments = None,
    fail_on: FailOn = "alert",
    against: Against = None,
    pin: Pin = None,
    unpin: Unpin = False,
    explain: Explain = False,
    history: History = False,
) -> Answer:
    """Compare a run with the prior one that published, or the pinned one; exit code 3 on an alert."""
    if fail_on not in {"alert", "warn"}:
        raise SettingError(f"--fail-on {fail_on}: it is alert or warn.")
    require_one_of({"--pin": pin, "--unpin": unpin, "--history": history, "--against": against})
    if run_id and (pin or unpin or history):
        raise UsageError(f"{run_id}: --pin, --unpin and --history are about all runs; leave it out.")
    settings = settings_of(assignments, threshold)
    project = look_at(root)
    if pin or unpin:
        return _pinned(project, settings, pin)
    if history:
        return _history(project, settings)
    return _drift(project, settings, run_id, against, explain, {"alert"} if fail_on == "alert" else {"alert", "warn"})


def _pinned(project: "Project", settings: "Settings", run_id: str | None) -> Answer:
    from etl.console.show import show_pin
    from etl.receipts.drift import pin, unpin

    if run_id is None:
        unpin(project)
    else:
        with open_history(project, settings) as history:
            pin(project, history, run_id)
    return Answer({"pinned": run_id}, partial(show_pin, run_id))


def _history(project: "Project", settings: "Settings") -> Answer:
    from etl.console.show import show_history
    from etl.receipts.drift import counter_history

    with open_history(project, settings) as history:
        rows = counter_history(history)
    return Answer(rows, partial(show_history, rows))


def _drift(
    project: "Project", settings: "Settings", run_id: str | None, against: str | None, explain: bool, fails: set[str]
) -> Answer:
    from etl.console.show import show_drift
    from etl.receipts.drift import compare_against, comparisons_of, drift_of
    from etl.receipts.store import require_pin, require_run

    with open_history(project, settings) as history:
        run_id = require_run(history, run_id)
        if against is None:
            require_pin(project, history)
        else:
            compare_against(history, run_id, against)
        report = drift_of(history, run_id)
        comparisons = comparisons_of(history, run_id) if explain else None
    document = report.model_dump(mode="json") | ({} if comparisons is None else {"comparisons": comparisons})
    return Answer(document, partial(show_drift, report, comparisons), 3 if report.severity in fails else 0)
