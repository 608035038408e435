"""What people see: tables on stdout, bars on stderr, and those only on a terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from etl.documents import Acceptance, Book, Diff, DriftReport, Plan, Replay, RunSummary, StageReceipt
from etl.markdown import harmless
from etl.project import Project
from etl.run import Progress as Report
from etl.runner import Outcome

#: Columns of a table that goes to a pipe or a file.
PIPE_WIDTH = 240

#: A sparkline's levels, lowest first.
_BARS = "▁▂▃▄▅▆▇█"

#: What a row of courses holds besides its names and bars, in columns; and the runs that are shown on any terminal.
_COURSE_MARGIN = 44
_LEAST_RUNS = 10

_STYLES = {
    "ok": "green", "reused": "green", "yes": "green", "warn": "yellow", "unchecked": "yellow", "not_run": "yellow",
    "failed": "red", "no": "red", "alert": "red", "reuse": "green", "run": "yellow",
}  # fmt: skip


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
    _print(_stages_table(f"run {summary.run_id}", summary, outcome.dossier.receipts))
    if summary.published:
        shipped = summary.datasets
        scored = next(stage for stage in summary.stages if stage.name == "score").records_in
        _line(
            f"{scored:,} records -> rag {shipped.rag:,}, sft {shipped.sft:,}, preference {shipped.preference:,} pairs; "
            "what was refused, and why: exports/quarantine/"
        )
        _line(f"datasets  {project.exports}")
        _line(f"warehouse {project.warehouse}")
    _line(f"receipts  {project.reports / summary.run_id}")
    for receipt in outcome.dossier.receipts:
        for error in receipt.validation.errors:
            _line(f"{receipt.stage}: {error}", "red")
    for flag in outcome.dossier.drift.flags:
        _line(f"drift: {flag}", _STYLES[outcome.dossier.drift.severity])


def show_books(books: Sequence[Book], project: Project) -> None:
    """Show what a run would do."""
    names = ("in", "accepted", "rejected", "quarantined", "skipped")
    table = _table("dry run: nothing was written", "stage", *names)
    for book in books:
        cells = (book.records_in, book.accepted, book.rejected, book.quarantined, book.skipped)
        table.add_row(book.stage, *(f"{cell:,}" for cell in cells))
    _print(table)
    _line(f"A run would read {project.evidence} and publish to {project.exports} and {project.warehouse}.")


def show_receipts(summary: RunSummary, receipts: Sequence[StageReceipt]) -> None:
    """Show a run's receipts: the stages, and why records were set aside."""
    published = "published" if summary.published else "not published"
    _print(_stages_table(f"run {summary.run_id} ({published})", summary, receipts))
    reasons = _table("reasons", "stage", "stat", "reason", "records")
    for receipt in receipts:
        for stat, counts in receipt.counts_by_reason.model_dump().items():
            for reason, records in counts.items():
                reasons.add_row(receipt.stage, stat, reason, f"{records:,}")
        for fate, records in (receipt.records.by_fate if receipt.records else {}).items():
            reasons.add_row(receipt.stage, "fate", fate, f"{records:,}")
    _print(reasons)
    for receipt in receipts:
        for error in receipt.validation.errors:
            _line(f"{receipt.stage}: {error}", "red")


def show_drift(report: DriftReport) -> None:
    """Show a drift report: severity, the flags, and the change of each stage."""
    _line(
        f"run {report.run_id} against {report.prior_run_id or 'nothing'}: {report.severity}", _STYLES[report.severity]
    )
    for flag in report.flags:
        _line(f"  {flag}")
    table = _table("", "stage", "in", "out", "accepted", "quarantined", "% out", "same input", "same output")
    for stage in report.stages:
        table.add_row(
            stage.stage,
            *(
                "" if delta is None else f"{delta:+,}"
                for delta in (
                    stage.delta_records_in,
                    stage.delta_records_out,
                    stage.delta_accepted,
                    stage.delta_quarantined,
                )
            ),
            "" if stage.pct_change_out is None else f"{stage.pct_change_out:+.1f}",
            *("" if same is None else _yes(same) for same in (stage.input_hash_match, stage.output_hash_match)),
        )
    _print(table)


def show_comparisons(comparisons: Sequence[dict[str, Any]]) -> None:
    """Show every figure that was compared, and why it is flagged or not."""
    table = _table("comparisons", "stage", "what", "before", "now", "severity", "why")
    for row in comparisons:
        is_volume = row["kind"] in {"source", "volume"}
        cells = (
            f"{records:,}" if is_volume else f"{records:,} of {exposure:,}"
            for records, exposure in (
                (row["prior_records"], row["prior_exposure"]),
                (row["records"], row["exposure"]),
            )
        )
        what = f"records of {row['counter']}" if row["kind"] == "source" else row["counter"]
        table.add_row(
            row["stage"], _safe(what), *cells, Text(row["severity"], _STYLES[row["severity"]]), _safe(row["why"])
        )
    _print(table)


def show_courses(rows: Sequence[dict[str, Any]]) -> None:
    """Show a sparkline per stage and counter: as many of the newest runs as fit, the newest at the right.

    Each is drawn from its lowest to its highest value. A run that did not do the stage is a dot.
    """
    seqs = sorted({row["seq"] for row in rows})
    widest = max((len(row["stage"]) + len(row["counter"]) for row in rows), default=0)
    shown = seqs[-max(_console().width - widest - _COURSE_MARGIN, _LEAST_RUNS) :]
    done = {(row["stage"], row["seq"]) for row in rows}
    figures: dict[tuple[str, str, str], dict[int, float]] = {}
    for row in rows:
        key = (row["stage"], row["stat"], row["counter"])
        figures.setdefault(key, {})[row["seq"]] = row["records"] if row["share"] is None else row["share"]
    is_share = {(row["stage"], row["stat"], row["counter"]) for row in rows if row["records_in"] is not None}
    table = _table(
        f"the last {len(shown)} of {len(seqs)} runs", "stage", "what", "course", "lowest", "highest", "newest"
    )
    for key, course in figures.items():
        stage, _, counter = key
        # A counter that a run does not name was 0 there, if the run did the stage.
        values = [course.get(seq, 0.0 if (stage, seq) in done else None) for seq in shown]
        known = [value for value in values if value is not None]
        if known:
            bounds = (min(known), max(known), known[-1])
            table.add_row(
                stage, _safe(counter), sparkline(values), *(_figure(value, key in is_share) for value in bounds)
            )
    _print(table)


def sparkline(values: Sequence[float | None]) -> str:
    """Return a bar per value, from the lowest to the highest; a dot where there is none. All alike: in the middle."""
    known = [value for value in values if value is not None]
    lowest, highest = min(known, default=0), max(known, default=0)

    def bar(value: float) -> str:
        level = (value - lowest) / (highest - lowest) if highest > lowest else 0.5
        return _BARS[round(level * (len(_BARS) - 1))]

    return "".join("·" if value is None else bar(value) for value in values)


def show_pin(run_id: str | None) -> None:
    """Say with which run later ones are compared from now on."""
    _line(f"Later runs are compared with {run_id}." if run_id else "Each run is compared with the one before it.")


def _figure(value: float, is_share: bool) -> str:
    return f"{100 * value:.1f} %" if is_share else f"{value:,.0f}"


def show_checks(title: str, checks: Sequence[tuple[str, str, str]]) -> None:
    """Show what was looked at, and how it is."""
    table = _table(title, "what", "status", "detail")
    for what, status, detail in checks:
        table.add_row(_safe(what), Text(status, _STYLES[status]), _safe(detail))
    _print(table)


def show_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show the rows of a query, all of them."""
    table = _table("", *names)
    for row in rows:
        table.add_row(*(_safe("" if cell is None else str(cell)) for cell in row))
    _print(table)
    _line(f"{len(rows):,} rows")


def show_plan(plan: Plan) -> None:
    """Print which stages would run, and why."""
    table = _table("plan", "stage", "action", "why")
    for step in plan.steps:
        table.add_row(step.stage, Text(step.action, _STYLES[step.action]), _safe(step.reason))
    _print(table)


def show_gates(acceptance: Acceptance) -> None:
    """Print the table of gates."""
    table = _table("acceptance", "gate", "passed", "seen")
    for gate in acceptance.gates:
        table.add_row(gate.name, _yes(gate.passed), _safe(gate.detail))
    _print(table)


def show_diff(diff: Diff) -> None:
    """Print what two runs treat differently: settings, counts, examples."""
    for setting in diff.settings:
        _line(f"setting {setting.name} was {setting.before}, and is {setting.now}", "yellow")
    if not diff.same_code:
        _line("the code or the SQL is another", "yellow")
    counts = _table(f"from {diff.from_run_id} to {diff.to_run_id}", "dataset", "change", "cause", "rows")
    for count in diff.counts:
        counts.add_row(count.dataset, count.change, count.cause, f"{count.rows:,}")
    _print(counts)
    if not diff.counts:
        _line("every row is as it was")
        return
    sample = _table("examples", "dataset", "change", "id", "where", "before", "now")
    for row in diff.sample:
        where = f"{row.source_path}:{row.line_number}" if row.source_path else ""
        before, now = (_state(row.category_before, row.reason_before), _state(row.category_now, row.reason_now))
        sample.add_row(row.dataset, row.change, row.id, _safe(where), _safe(before), _safe(now))
    _print(sample)
    _line("All of them: etl sql \"from receipts.difference where from_run_id = '…' and to_run_id = '…'\"", "dim")


def _state(category: str | None, reason: str | None) -> str:
    return "absent" if category is None else f"{category}, {reason or 'ships'}"


def show_replay(replay: Replay) -> None:
    """Print which outputs came out the same."""
    table = _table(f"replay of {replay.run_id}", "output", "equal", "difference")
    for output in replay.outputs:
        table.add_row(_safe(output.path), _yes(output.is_equal), _safe(output.difference or ""))
    _print(table)
    if not (replay.same_code and replay.same_engine):
        _line(
            "The code or the engine is not that of the run: a difference does not speak against its receipts.", "yellow"
        )


def show_way(found: dict[str, Any]) -> None:
    """Show where an id comes from, and what became of it."""
    for pair in found["pairs"]:
        _line(f"pair {pair['id']}", "bold")
        reasons = ", ".join(pair["quarantine_reasons"])
        fate = f"quarantined: {reasons} ({pair['detail']})" if reasons else pair["skip_reason"] or "ships in preference"
        _fields({"task_id": pair["task_id"], "reason": pair["reason"], "fate": fate, "prompt": pair["prompt"]})
        _fields({"chosen": pair["chosen"], "rejected": pair["rejected"]})
    for record in found["records"]:
        _line(f"record {record['evidence_id']}", "bold")
        _fields(
            {
                "from": f"{record['source_path']}:{record['line_number']} ({record['source']})",
                "line_sha256": record["line_sha256"],
                "run, task": f"{record['run_id']}, {record['task_id']}",
                "category": f"{record['category']} by the rule {record['rule']}",
                "signals": "; ".join(record["reasons"]) or "none",
                "rag": _fate(record["rag_reasons"], record["rag_detail"], record["rag_id"]),
                "sft": _fate(record["sft_reasons"], record["sft_detail"], record["sft_id"]),
                "preference": record["pairing_fate"],
            }
        )
        for pair in record["pairs"]:
            _fields({"pair": f"{pair['id']} {pair['fate']} {', '.join(pair['quarantine_reasons'])}"})
        _fields({"prompt": record["prompt"], "response": record["response"]})
    for line in found["skipped"]:
        _line(f"skipped line {line['source_path']}:{line['line_number']}", "bold")
        raw = (line["raw"] or b"").decode("utf-8", "backslashreplace")
        _fields({"reason": line["reason"], "detail": line["detail"], "line_sha256": line["line_sha256"], "raw": raw})


def _fate(reasons: Sequence[str], detail: str | None, row_id: str) -> str:
    return f"quarantined: {', '.join(reasons)} ({detail}), id {row_id}" if reasons else f"ships, id {row_id}"


def _stages_table(title: str, summary: RunSummary, receipts: Sequence[StageReceipt]) -> Table:
    table = _table(
        title, "stage", "status", "in", "accepted", "rejected", "quarantined", "skipped", "seconds", "passed"
    )
    for stage, receipt in zip(summary.stages, receipts, strict=True):
        stats = (stage.stats.accepted, stage.stats.rejected, stage.stats.quarantined, stage.stats.skipped)
        table.add_row(
            stage.name,
            Text(stage.status, _STYLES[stage.status]),
            f"{stage.records_in:,}",
            *(f"{count:,}" for count in stats),
            f"{receipt.duration_ms / 1000:.1f}",
            _yes(stage.passed),
        )
    return table


def _yes(good: bool) -> Text:
    return Text("yes", "green") if good else Text("no", "red")


def _fields(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        _console().print(
            Text.assemble((f"  {name:<12}", "dim"), _safe("" if value is None else str(value))), soft_wrap=True
        )


def _table(title: str, *names: str) -> Table:
    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(_safe(name), overflow="fold")
    return table


def _print(table: Table) -> None:
    _console().print(table)


def _line(text: str, style: str = "") -> None:
    _console().print(_safe(text, style), soft_wrap=True)


def _console() -> Console:
    """Return a console; a pipe has no width, so there nothing is folded to fit one."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


def _safe(text: str, style: str = "") -> Text:
    """Return text without markup and without characters that a terminal obeys; line feeds stay."""
    return Text("\n".join(harmless(line) for line in text.split("\n")), style)
