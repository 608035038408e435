"""What people see of each answer: tables on stdout, and bars on stderr if that is a terminal."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from etl.base.project import Project
from etl.base.terminal import LONGEST_PATH, harmless, short, short_place
from etl.console.parts import STYLES, list_parts, open_console, place_of, say, say_line, short_count, show_fields, show_table

if TYPE_CHECKING:
    from etl.context import Progress as Report
    from etl.inspect.diff import Diff
    from etl.inspect.health import SettingInForce
    from etl.pipeline.plan import StageCount
    from etl.pipeline.request import Outcome
    from etl.receipts.models import DriftReport, ReleaseReceipt, RunSummary, StageReceipt

#: Digits of an id that people see: among a billion ids no two begin with the same sixteen.
_SHOWN_DIGITS = 16

#: What became of the records of a stage, as columns.
_COUNTS = ("in", "accepted", "rejected", "quarantined", "skipped")

#: The kinds of figures of drift that are counts; the others are shares.
_COUNTED_KINDS = {"source", "volume"}

#: What is said of an item of a file that is neither a record nor skipped.
_OUTCOMES_OF_PLACES = {
    "blank": "{source_path}:{item_number} is blank: it holds nothing but white space.",
    "ignored": "{source_path} is no evidence: the rule {ignored_by} ignores it.",
    "member": "{source_path} is a member of an archive, whose items were read.",
    "file": "{source_path} is a file of {bytes:,} bytes with {record_count:,} items, and {blank_count:,} blank ones.",
}

#: Why a grade counts for no record, by its outcome.
_UNCOUNTED = {
    "ambiguous_grade": "nothing: it meets several attempts",
    "unmatched_grade": "nothing: it meets no attempt",
    "met": "nothing",
}

#: What is said of a grade whose item cannot be read.
_UNREAD = "not in the evidence folder as the run read it; --evidence DIR names another folder"

#: How many grades are shown.
_SHOWN_GRADES = 10

#: Characters of a place that are shown on any terminal.
_LEAST_PLACE = 12

#: A sparkline's levels, lowest first.
_BARS = "▁▂▃▄▅▆▇█"

#: Columns of a line of the history besides its names and its sparkline; and how many runs are shown on any terminal.
_HISTORY_MARGIN = 44
_LEAST_RUNS = 10


@contextmanager
def progress_bars() -> "Iterator[Report]":
    """Show a bar for each activity on stderr if that is a terminal, and nothing otherwise."""
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}

    def report(what: str, done: int, total: int) -> None:
        activity = what.partition(" ")[0]
        if activity not in tasks:
            tasks[activity] = bars.add_task(activity)
        completed = done if total else 1  # of nothing, all is done
        bars.update(tasks[activity], description=harmless(what[:60]), completed=completed, total=total or 1)

    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        yield report


def show_outcome(outcome: "Outcome", project: Project) -> None:
    """Show a finished run: its stages, what it published and where, its errors, and drift."""
    summary, report = outcome.summary, outcome.report
    seconds = sum(receipt.duration_ms for receipt in report.receipts) / 1000
    _show_stages(f"run {summary.run_id}: {seconds:.1f} s in its stages", summary)
    if summary.published:
        scored = next(stage for stage in summary.stages if stage.name == "score").records_in
        counts = ", ".join(f"{name} {rows:,}" for name, rows in summary.datasets.items())
        say(f"{scored:,} records -> {counts}; what does not ship, and why: exports/quarantine/")
        say(f"datasets  {project.exports}\nwarehouse {project.warehouse}")
    say(f"receipts  {project.reports / summary.run_id}")
    _show_errors(report.receipts)
    for flag in report.drift.flags:
        say_line(f"drift: {flag}", STYLES[report.drift.severity])


def show_health(show_checks: Callable[[], None], settings: "Sequence[SettingInForce]") -> None:
    """Show what was checked, and below it the settings that are not at their defaults."""
    show_checks()
    rows = [(each.setting, each.shown, each.origin) for each in settings if each.origin != "default"]
    note = "All other settings are at their defaults; --json names all."
    if rows:
        show_table("settings", ("setting", "value", "from"), rows, note)
    else:
        say("All settings are at their defaults; --json names them.")


def show_counts(counts: "Sequence[StageCount]", project: Project) -> None:
    """Show what a run would do."""
    rows = [list(count.model_dump(exclude={"blank"}).values()) for count in counts]
    note = f"A run would read {project.evidence} and publish to {project.exports} and {project.warehouse}."
    show_table("dry run: nothing was written", ("stage", *_COUNTS), rows, note)


def show_release(receipt: "ReleaseReceipt", folder: Path) -> None:
    """Show what an export for a trainer wrote, and what it left out."""
    reasons = {
        name: ", ".join(f"{reason} {count:,}" for reason, count in rows.left_out.items()) for name, rows in receipt.rows.items()
    }
    rows = [(name, f"{found.read:,}", f"{found.written:,}", reasons[name]) for name, found in receipt.rows.items()]
    show_table(f"{receipt.trainer}: what run {receipt.run_id} published", ("dataset", "rows", "lines", "left out"), rows)
    say(f"files     {folder}\nreceipt   reports/releases/{receipt.seq:05}-{receipt.trainer}.json")


def show_receipts(summary: "RunSummary", receipts: "Sequence[StageReceipt]") -> None:
    """Show a run's receipts: its stages, how many records have which reason or outcome, and its errors."""
    _show_stages(f"run {summary.run_id} ({'published' if summary.published else 'not published'})", summary)
    rows = [
        (receipt.stage, stat, reason, records)
        for receipt in receipts
        for stat, reasons in (*receipt.counts_by_reason, ("outcome", receipt.outcomes))
        for reason, records in (reasons or {}).items()
    ]
    show_table("reasons", ("stage", "stat", "reason", "records"), rows)
    _show_errors(receipts)


def _show_stages(title: str, summary: "RunSummary") -> None:
    """Show a row for each stage of a run."""
    rows = []
    for stage in summary.stages:
        status = "not passed" if stage.status in {"ok", "reused"} and not stage.passed else stage.status
        rows.append((stage.name, status, *map(short_count, (stage.records_in, *dict(stage.stats).values()))))
    show_table(title, ("stage", "status", *_COUNTS), rows)


def _show_errors(receipts: "Iterable[StageReceipt]") -> None:
    """Show what is wrong in each stage, and what looks wrong."""
    for receipt in receipts:
        for error in receipt.validation.errors:
            say_line(f"{receipt.stage}: {error}", "red")
        for warning in receipt.validation.warnings:
            say_line(f"{receipt.stage}: {warning}", "yellow")


def show_diff(diff: "Diff") -> None:
    """Show what two runs treat differently: settings, counts of rows, examples."""
    for setting in diff.settings:
        say(f"The setting {setting.name} changed from {setting.before} to {setting.now}.", "yellow")
    if not diff.same_code:
        say("The code or the SQL changed.", "yellow")
    counts = [list(count.model_dump().values()) for count in diff.counts]
    show_table(f"from {diff.from_run_id} to {diff.to_run_id}", ("dataset", "change", "cause", "rows"), counts)
    if not counts:
        say("No row changed.")
        return
    examples = []
    for row in diff.sample:
        place = short_place(row.source_path, row.item_number)
        if row.change == "moved" and row.source_path_before is not None:
            place += f" (before: {short_place(row.source_path_before, row.item_number_before or 0)})"
        states = ((row.category_before, row.reason_before), (row.category_now, row.reason_now))
        change = " -> ".join(f"{category}, {reason or 'ships'}" if category else "absent" for category, reason in states)
        examples.append((row.dataset, row.change, f"{row.id[:_SHOWN_DIGITS]} {place}", change))
    show_table("examples", ("dataset", "change", "id and place", "before -> now"), examples)
    say("All of them: etl sql \"from receipts.row_change where from_run_id = '…' and to_run_id = '…'\"", "dim")


def show_explanation(found: dict[str, Any]) -> None:
    """Show what a text names: one record or skipped item with its text, several a line each."""
    records, skipped, grades = found["records"], found["skipped"], found["grades"]
    if len(found["kinds"]) > 1:
        say(f"{short(found['id'])} is several things: {', '.join(found['kinds'])}. What each of them names is shown.", "yellow")
    for pair in found["pairs"]:
        fields = pair | {"decision": _decision(pair, f"ships in {pair['dataset']}")}
        fields |= {"task_id": short(pair["task_id"])}
        names = ("task_id", "reason", "decision", "prompt", "chosen", "rejected")
        show_fields(f"pair {pair['id']}", [(name, fields[name]) for name in names])
    if len(records) + len(skipped) == 1:
        _show_one(records, skipped)
    else:
        _show_records(records)
        _show_skipped(skipped)
    for grade in grades[:_SHOWN_GRADES]:
        _show_grade(grade)
    if len(grades) > _SHOWN_GRADES:
        say(f"There are {len(grades) - _SHOWN_GRADES:,} more grades (--json names all).")
    for place in found["places"]:
        if place["part_of"]:
            at = short_place(place["source_path"], place["item_number"])
            say(f"{at} is a part of {', '.join(map(place_of, place['part_of']))}.")
        if place["outcome"] in _OUTCOMES_OF_PLACES:
            path = short(place["source_path"], LONGEST_PATH)
            say(_OUTCOMES_OF_PLACES[place["outcome"]].format(**place | {"source_path": path}))


def _show_grade(grade: dict[str, Any]) -> None:
    """Show a grade: what it says, of what, who says so, and whether it counts."""
    signals = ("verdict", "score", "grounded_fraction", "infrastructure_error", "human_override")
    said = [
        (name, grade[name]) for name in (*signals, "comparison", "run_id", "task_id", "created_at") if grade[name] is not None
    ]
    item = json.loads(grade["item"]) if grade["item"] else {"item": _UNREAD}
    told = [(name, item[name]) for name in ("by", "note", "item") if item.get(name)]
    counts = ", ".join(map(place_of, grade["records"])) or _UNCOUNTED[grade["outcome"]]
    show_fields(f"grade {grade['source_path']}:{grade['item_number']}", [*said, *told, ("counts for", counts)])


def _show_one(records: Iterable[dict[str, Any]], skipped: Iterable[dict[str, Any]]) -> None:
    """Show a record, or a skipped item, with its text."""
    for record in records:
        show_fields(f"record {record['evidence_id']}", _fields_of(record))
    for item in skipped:
        title = f"skipped item {short_place(item['source_path'], item['item_number'])}"
        show_fields(title, [(name, item[name]) for name in ("reason", "detail", "item_sha256", "raw")])


def _show_records(records: Sequence[dict[str, Any]]) -> None:
    """Show a line for each attempt, and a line for each record: its category, the rule, and where it ships or why not."""
    if not records:
        return
    attempts: dict[tuple[object, ...], int] = {}
    reasons: dict[str, int] = {}
    rows = []
    for record in records:
        # a record that names no run is an attempt by itself
        alone = None if record["run_id"] is not None else (record["source_path"], record["item_number"], record["evidence_id"])
        attempt = (record["task_id"], record["run_id"], alone)
        number = attempts.setdefault(attempt, len(attempts) + 1)
        decisions = [_why_not(decision["quarantine_reasons"], reasons) for decision in record["datasets"]]
        outcome = record["pairing_outcome"]
        pairs = _why_not([] if outcome == "paired" else [outcome], reasons)
        rows.append([str(number), place_of(record), record["category"], record["rule"], *decisions, pairs])
    named = "\n".join(
        f"  {number}: task {short(str(task_id))}, " + ("no run named" if run_id is None else f"run {short(str(run_id))}")
        for (task_id, run_id, _), number in attempts.items()
    )
    say(f"records: {len(records):,}, attempts: {len(attempts):,}\n{named}\n")
    names = ("attempt", "item", "category", "rule", *(decision["dataset"] for decision in records[0]["datasets"]), "pairs")
    show_table("", names, _within_width(names, rows, at=1))
    why = "".join(f"\n  {number}: {reason}" for reason, number in reasons.items())
    say("yes: it ships, or is in an exported pair" + ("; a number says why not:" if why else ".") + why)


def _why_not(reasons: Iterable[str], numbers: dict[str, int]) -> str:
    """Return yes where there are no reasons, else their numbers; a reason that is new gets the next one."""
    return ",".join(str(numbers.setdefault(reason, len(numbers) + 1)) for reason in reasons) or "yes"


def _within_width(names: Sequence[str], rows: Sequence[list[str]], at: int) -> list[list[str]]:
    """Return rows that fit the console: of a cell in the column ``at`` that is too long, the end."""
    widths = [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)]
    room = max(open_console().width - sum(widths) + widths[at] - len(names) + 1, _LEAST_PLACE)
    for row in rows:
        place = harmless(row[at])
        row[at] = place if len(place) <= room else f"…{place[1 - room :]}"
    return list(rows)


def _show_skipped(skipped: Sequence[dict[str, Any]]) -> None:
    """Show a line for each skipped item."""
    if skipped:
        places = [short_place(item["source_path"], item["item_number"]) for item in skipped]
        rows = [[place, item["reason"], item["detail"]] for place, item in zip(places, skipped, strict=True)]
        show_table("skipped", ("item", "reason", "detail"), rows)


def _fields_of(record: dict[str, Any]) -> list[tuple[str, object]]:
    """Return what is shown of a record, from its place to its text."""
    return [
        ("from", f"{place_of(record)} ({short(record['source'])})"),
        *([("parts", list_parts(record["parts"]))] if record["parts"] else []),
        ("item_sha256", record["item_sha256"]),
        ("run, task", f"{short(str(record['run_id']))}, {short(record['task_id'])}"),
        ("category", f"{record['category']} by the rule {record['rule']}"),
        ("signals", "; ".join(map(short, record["reasons"])) or "none"),
        *((decision["dataset"], f"{_decision(decision)}, id {decision['id']}") for decision in record["datasets"]),
        ("pairing", record["pairing_outcome"]),
        *(("pair", f"{pair['id']} {pair['outcome']} {', '.join(pair['quarantine_reasons'])}") for pair in record["pairs"]),
        ("prompt", record["prompt"]),
        ("response", record["response"]),
    ]


def _decision(row: dict[str, Any], ships: str = "ships") -> str:
    """Return that a row of a dataset, or a pair, ships; or why it does not."""
    reasons = ", ".join(row["quarantine_reasons"])
    return f"quarantined: {reasons} ({row['detail']})" if reasons else row.get("skip_reason") or ships


def show_drift(report: "DriftReport", comparisons: Iterable[dict[str, Any]] = ()) -> None:
    """Show a drift report: severity, flags, and how each stage changed; then the comparisons, a table for each stage."""
    say(f"run {report.run_id} against {report.prior_run_id or 'nothing'}: {report.severity}", STYLES[report.severity])
    for flag in report.flags:
        say_line(f"  {flag}")
    rows = []
    for stage in report.stages:
        deltas = (stage.delta_records_in, stage.delta_records_out, stage.delta_accepted, stage.delta_quarantined)
        signed = ("" if delta is None else f"{delta:+,}" for delta in deltas)
        percent = "" if stage.pct_change_out is None else f"{stage.pct_change_out:+.1f}"
        rows.append((stage.stage, *signed, percent, stage.input_hash_match, stage.output_hash_match))
    show_table("", ("stage", "in", "out", "accepted", "quarantined", "% out", "same input", "same output"), rows)
    for name, compared in groupby(comparisons, key=itemgetter("stage")):
        show_table(f"comparisons at {name}", ("what", "before", "now", "severity", "why"), map(_comparison, compared))


def _comparison(row: dict[str, Any]) -> Sequence[str]:
    """Return a row of drift.comparison as people see it: counts, or counts out of all records that could be counted."""
    figures = ((row["prior_records"], row["prior_exposure"]), (row["records"], row["exposure"]))
    is_count = row["kind"] in _COUNTED_KINDS
    cells = (f"{records:,}" if is_count else f"{records:,} of {exposure:,}" for records, exposure in figures)
    what = f"records of {short(row['counter'])}" if row["kind"] == "source" else short(row["counter"])
    return (what, *cells, row["severity"], row["why"])


def show_history(rows: Sequence[dict[str, Any]]) -> None:
    """Show a sparkline for each figure, from rows of drift.history: as many of the newest runs as fit, the newest at the right.

    Each is drawn from its lowest to its highest value. A run that did not do the stage is a dot.
    """
    runs = sorted({row["seq"] for row in rows})
    longest = max((len(row["stage"]) + len(short(row["counter"])) for row in rows), default=0)
    shown = runs[-max(open_console().width - longest - _HISTORY_MARGIN, _LEAST_RUNS) :]
    done = {(row["stage"], row["seq"]) for row in rows}
    lines = []
    for (kind, stage, _, counter), of_figure in groupby(rows, key=itemgetter("kind", "stage", "stat", "counter")):
        figures = {row["seq"]: row["records"] if kind in _COUNTED_KINDS else row["share"] or 0.0 for row in of_figure}
        # a counter that a run does not name was 0 there, if the run did the stage
        values = [figures.get(seq, 0) if (stage, seq) in done else None for seq in shown]
        if set(values) != {None}:
            lines.append((stage, short(counter), sparkline(values), *_bounds(values, kind)))
    names = ("stage", "what", "history", "lowest", "highest", "newest")
    show_table(f"the last {len(shown)} of {len(runs)} runs", names, lines)


def _bounds(values: Sequence[float | None], kind: str) -> list[str]:
    """Return the lowest, the highest and the newest value as people read them."""
    known = [value for value in values if value is not None]
    bounds = (min(known), max(known), known[-1])
    return [f"{value:,}" if kind in _COUNTED_KINDS else f"{100 * value:.1f} %" for value in bounds]


def sparkline(values: Sequence[float | None]) -> str:
    """Return a bar for each value, from the lowest to the highest; a dot for None. Equal values are bars of half the height."""
    known = [value for value in values if value is not None]
    lowest = min(known, default=0)
    spread = max(known, default=0) - lowest
    steps = (value if value is None else round((value - lowest) / spread * 7) if spread else 4 for value in values)
    return "".join("·" if step is None else _BARS[step] for step in steps)
