"""What people see of drift: the report, its comparisons, and the course of every figure."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from etl.console.parts import STYLES, new_table, open_console, safe, say, show, yes_or_no
from etl.receipts.models import DriftReport

#: A sparkline's levels, lowest first.
_BARS = "▁▂▃▄▅▆▇█"

#: What a row of courses holds besides its names and bars, in columns; and the runs that are shown on any terminal.
_COURSE_MARGIN = 44
_LEAST_RUNS = 10


def show_drift(report: DriftReport, comparisons: Sequence[dict[str, Any]] | None = None) -> None:
    """Show a drift report: severity, the flags, the change of each stage, and every comparison where they are given."""
    say(f"run {report.run_id} against {report.prior_run_id or 'nothing'}: {report.severity}", STYLES[report.severity])
    for flag in report.flags:
        say(f"  {flag}")
    table = new_table("", "stage", "in", "out", "accepted", "quarantined", "% out", "same input", "same output")
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
            *("" if same is None else yes_or_no(same) for same in (stage.input_hash_match, stage.output_hash_match)),
        )
    show(table)
    if comparisons is not None:
        _show_comparisons(comparisons)


def _show_comparisons(comparisons: Sequence[dict[str, Any]]) -> None:
    """Show every figure that was compared, and why it is flagged or not."""
    table = new_table("comparisons", "stage", "what", "before", "now", "severity", "why")
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
            row["stage"], safe(what), *cells, Text(row["severity"], STYLES[row["severity"]]), safe(row["why"])
        )
    show(table)


def show_history(rows: Sequence[dict[str, Any]]) -> None:
    """Show a sparkline per stage and counter: as many of the newest runs as fit, the newest at the right.

    Each is drawn from its lowest to its highest value. A run that did not do the stage is a dot.
    """
    seqs = sorted({row["seq"] for row in rows})
    widest = max((len(row["stage"]) + len(row["counter"]) for row in rows), default=0)
    shown = seqs[-max(open_console().width - widest - _COURSE_MARGIN, _LEAST_RUNS) :]
    done = {(row["stage"], row["seq"]) for row in rows}
    figures: dict[tuple[str, str, str], dict[int, float]] = {}
    for row in rows:
        key = (row["stage"], row["stat"], row["counter"])
        figures.setdefault(key, {})[row["seq"]] = row["records"] if row["share"] is None else row["share"]
    is_share = {(row["stage"], row["stat"], row["counter"]) for row in rows if row["records_in"] is not None}
    table = new_table(
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
                stage, safe(counter), sparkline(values), *(_figure(value, key in is_share) for value in bounds)
            )
    show(table)


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
    say(f"Later runs are compared with {run_id}." if run_id else "Each run is compared with the one before it.")


def _figure(value: float, is_share: bool) -> str:
    return f"{100 * value:.1f} %" if is_share else f"{value:,.0f}"
