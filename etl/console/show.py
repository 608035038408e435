"""What people see: tables on stdout, bars on stderr, and those only on a terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from etl.base.project import Project
from etl.console.drift import show_drift, show_history, show_pin
from etl.console.parts import STYLES, new_table, open_console, safe, say, short_count, short_id, show, yes_or_no
from etl.context import Progress as Report
from etl.inspect.diff import Diff
from etl.pipeline.dry_run import StageCount
from etl.pipeline.plan import Plan
from etl.pipeline.replay import Replay
from etl.pipeline.run import Outcome
from etl.pipeline.selftest import Acceptance
from etl.receipts.markdown import harmless
from etl.receipts.models import Check, RunSummary, StageReceipt

__all__ = ["show_drift", "show_history", "show_pin"]


@contextmanager
def progress_bars() -> Iterator[Report]:
    """Show a bar per activity on a terminal's stderr; nothing in a pipe."""
    errors = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def report(what: str, done: int, total: int) -> None:
        activity, _, detail = what.partition(" ")
        if activity not in tasks:
            tasks[activity] = bars.add_task(activity, total=total or 1)
        bars.update(
            tasks[activity],
            description=harmless(f"{activity} {detail}"[:60]),
            completed=done if total else 1,
            total=total or 1,
        )

    with bars:
        yield report


def show_outcome(outcome: Outcome, project: Project) -> None:
    """Show a finished run: a row per stage, the funnel, drift, and where the outputs are."""
    summary = outcome.summary
    seconds = sum(receipt.duration_ms for receipt in outcome.report.receipts) / 1000
    show(_stages_table(f"run {summary.run_id}: {seconds:.1f} s in its stages", summary))
    if summary.published:
        scored = next(stage for stage in summary.stages if stage.name == "score").records_in
        counts = ", ".join(f"{name} {rows:,}" for name, rows in summary.datasets.items())
        say(f"{scored:,} records -> {counts}; what was refused, and why: exports/quarantine/")
        say(f"datasets  {project.exports}")
        say(f"warehouse {project.warehouse}")
    say(f"receipts  {project.reports / summary.run_id}")
    for receipt in outcome.report.receipts:
        for error in receipt.validation.errors:
            say(f"{receipt.stage}: {error}", "red")
    for flag in outcome.report.drift.flags:
        say(f"drift: {flag}", STYLES[outcome.report.drift.severity])


def show_counts(counts: Sequence[StageCount], project: Project) -> None:
    """Show what a run would do."""
    names = ("in", "accepted", "rejected", "quarantined", "skipped")
    table = new_table("dry run: nothing was written", "stage", *names)
    for count in counts:
        cells = (count.records_in, count.accepted, count.rejected, count.quarantined, count.skipped)
        table.add_row(count.stage, *(f"{cell:,}" for cell in cells))
    show(table)
    say(f"A run would read {project.evidence} and publish to {project.exports} and {project.warehouse}.")


def show_receipts(summary: RunSummary, receipts: Sequence[StageReceipt]) -> None:
    """Show a run's receipts: the stages, and why records were set aside."""
    published = "published" if summary.published else "not published"
    show(_stages_table(f"run {summary.run_id} ({published})", summary))
    reasons = new_table("reasons", "stage", "stat", "reason", "records")
    for receipt in receipts:
        for stat, counts in receipt.counts_by_reason.model_dump().items():
            for reason, records in counts.items():
                reasons.add_row(receipt.stage, stat, reason, f"{records:,}")
        for outcome, records in (receipt.records.by_outcome if receipt.records else {}).items():
            reasons.add_row(receipt.stage, "outcome", outcome, f"{records:,}")
    show(reasons)
    for receipt in receipts:
        for error in receipt.validation.errors:
            say(f"{receipt.stage}: {error}", "red")


def show_checks(title: str, checks: Sequence[Check]) -> None:
    """Show what was looked at, and how it is."""
    table = new_table(title, "what", "status", "detail")
    for check in checks:
        table.add_row(safe(check.what), Text(check.status, STYLES[check.status]), safe(check.detail))
    show(table)


def show_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show the rows of a query, all of them."""
    table = new_table("", *names)
    for row in rows:
        table.add_row(*(safe("" if cell is None else str(cell)) for cell in row))
    show(table)
    say(f"{len(rows):,} rows")


def show_plan(plan: Plan) -> None:
    """Print which stages would run, and why."""
    table = new_table("plan", "stage", "action", "why")
    for step in plan.steps:
        table.add_row(step.stage, Text(step.action, STYLES[step.action]), safe(step.reason))
    show(table)


def show_gates(acceptance: Acceptance) -> None:
    """Print the table of gates."""
    table = new_table("acceptance", "gate", "passed", "seen")
    for gate in acceptance.gates:
        table.add_row(gate.name, yes_or_no(gate.passed), safe(gate.detail))
    show(table)


def show_diff(diff: Diff) -> None:
    """Print what two runs treat differently: settings, counts, examples."""
    for setting in diff.settings:
        say(f"setting {setting.name} was {setting.before}, and is {setting.now}", "yellow")
    if not diff.same_code:
        say("the code or the SQL is another", "yellow")
    counts = new_table(f"from {diff.from_run_id} to {diff.to_run_id}", "dataset", "change", "cause", "rows")
    for count in diff.counts:
        counts.add_row(count.dataset, count.change, count.cause, f"{count.rows:,}")
    show(counts)
    if not diff.counts:
        say("every row is as it was")
        return
    sample = new_table("examples", "dataset", "change", "id", "where", "before", "now")
    for row in diff.sample:
        where = f"{row.source_path}:{row.line_number}" if row.source_path else ""
        before, now = (_state(row.category_before, row.reason_before), _state(row.category_now, row.reason_now))
        sample.add_row(row.dataset, row.change, short_id(row.id), safe(where), safe(before), safe(now))
    show(sample)
    say("All of them: etl sql \"from receipts.row_change where from_run_id = '…' and to_run_id = '…'\"", "dim")


def _state(category: str | None, reason: str | None) -> str:
    return "absent" if category is None else f"{category}, {reason or 'ships'}"


def show_replay(replay: Replay) -> None:
    """Print which outputs came out the same."""
    table = new_table(f"replay of {replay.run_id}", "output", "equal", "difference")
    for output in replay.outputs:
        table.add_row(safe(output.path), yes_or_no(output.is_equal), safe(output.difference or ""))
    show(table)
    if not (replay.same_code and replay.same_engine):
        say(
            "The code or the engine is not that of the run: a difference does not speak against its receipts.", "yellow"
        )


def show_explanation(found: dict[str, Any]) -> None:
    """Show where an id comes from, and what became of it."""
    for pair in found["pairs"]:
        say(f"pair {pair['id']}", "bold")
        reasons = ", ".join(pair["quarantine_reasons"])
        decision = (
            f"quarantined: {reasons} ({pair['detail']})" if reasons else pair["skip_reason"] or "ships in preference"
        )
        _fields({"task_id": pair["task_id"], "reason": pair["reason"], "decision": decision, "prompt": pair["prompt"]})
        _fields({"chosen": pair["chosen"], "rejected": pair["rejected"]})
    for record in found["records"]:
        say(f"record {record['evidence_id']}", "bold")
        _fields(
            {
                "from": f"{record['source_path']}:{record['line_number']} ({record['source']})",
                "line_sha256": record["line_sha256"],
                "run, task": f"{record['run_id']}, {record['task_id']}",
                "category": f"{record['category']} by the rule {record['rule']}",
                "signals": "; ".join(record["reasons"]) or "none",
                **{decision["dataset"]: _decision(decision) for decision in record["datasets"]},
                "pairing": record["pairing_outcome"],
            }
        )
        for pair in record["pairs"]:
            _fields({"pair": f"{pair['id']} {pair['outcome']} {', '.join(pair['quarantine_reasons'])}"})
        _fields({"prompt": record["prompt"], "response": record["response"]})
    for line in found["skipped"]:
        say(f"skipped line {line['source_path']}:{line['line_number']}", "bold")
        raw = (line["raw"] or b"").decode("utf-8", "backslashreplace")
        _fields({"reason": line["reason"], "detail": line["detail"], "line_sha256": line["line_sha256"], "raw": raw})


def _decision(decision: dict[str, Any]) -> str:
    reasons = ", ".join(decision["quarantine_reasons"])
    return (
        f"quarantined: {reasons} ({decision['detail']}), id {decision['id']}"
        if reasons
        else f"ships, id {decision['id']}"
    )


def _stages_table(title: str, summary: RunSummary) -> Table:
    """Return a row per stage; its status is what came of it, or that it did not pass."""
    table = new_table(title, "stage", "status", "in", "accepted", "rejected", "quarantined", "skipped")
    for stage in summary.stages:
        status = "not passed" if stage.status in {"ok", "reused"} and not stage.passed else stage.status
        counts = (
            stage.records_in,
            stage.stats.accepted,
            stage.stats.rejected,
            stage.stats.quarantined,
            stage.stats.skipped,
        )
        table.add_row(stage.name, Text(status, STYLES[status]), *map(short_count, counts))
    return table


def _fields(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        open_console().print(
            Text.assemble((f"  {name:<12}", "dim"), safe("" if value is None else str(value))), soft_wrap=True
        )
