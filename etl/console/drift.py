"""What people see of drift: the report, its comparisons, and how each figure changed over all runs."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from etl.console.parts import STYLES, open_console, say, show_table

if TYPE_CHECKING:
    from etl.receipts.models import DriftReport

#: The kinds of figures that are counts; the others are shares.
_COUNTS = {"source", "volume"}

#: A sparkline's levels, lowest first.
_BARS = "▁▂▃▄▅▆▇█"

#: Columns of a line of the history besides its names and its sparkline; and how many runs are shown on any terminal.
_HISTORY_MARGIN = 44
_LEAST_RUNS = 10


def show_drift(report: "DriftReport", comparisons: Iterable[dict[str, Any]] = ()) -> None:
    """Show a drift report: severity, flags, and how each stage changed; then the comparisons, a table for each stage."""
    say(f"run {report.run_id} against {report.prior_run_id or 'nothing'}: {report.severity}", STYLES[report.severity])
    for flag in report.flags:
        say(f"  {flag}")
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
    is_count = row["kind"] in _COUNTS
    cells = (f"{records:,}" if is_count else f"{records:,} of {exposure:,}" for records, exposure in figures)
    what = f"records of {row['counter']}" if row["kind"] == "source" else row["counter"]
    return (what, *cells, row["severity"], row["why"])


def show_history(rows: Sequence[dict[str, Any]]) -> None:
    """Show a sparkline for each figure, from rows of drift.history: as many of the newest runs as fit, the newest at the right.

    Each is drawn from its lowest to its highest value. A run that did not do the stage is a dot.
    """
    runs = sorted({row["seq"] for row in rows})
    shown = runs[-_room(rows) :]
    done = {(row["stage"], row["seq"]) for row in rows}
    lines = []
    for (kind, stage, _, counter), of_figure in groupby(rows, key=itemgetter("kind", "stage", "stat", "counter")):
        figures = {row["seq"]: row["records"] if kind in _COUNTS else row["share"] or 0.0 for row in of_figure}
        # a counter that a run does not name was 0 there, if the run did the stage
        values = [figures.get(seq, 0) if (stage, seq) in done else None for seq in shown]
        if set(values) != {None}:
            lines.append((stage, counter, sparkline(values), *_bounds(values, kind)))
    names = ("stage", "what", "history", "lowest", "highest", "newest")
    show_table(f"the last {len(shown)} of {len(runs)} runs", names, lines)


def _room(rows: Iterable[dict[str, Any]]) -> int:
    """Return how many runs fit beside the longest names."""
    widest = max((len(row["stage"]) + len(row["counter"]) for row in rows), default=0)
    return max(open_console().width - widest - _HISTORY_MARGIN, _LEAST_RUNS)


def _bounds(values: Sequence[float | None], kind: str) -> list[str]:
    """Return the lowest, the highest and the newest value as people read them."""
    known = [value for value in values if value is not None]
    bounds = (min(known), max(known), known[-1])
    return [f"{value:,}" if kind in _COUNTS else f"{100 * value:.1f} %" for value in bounds]


def sparkline(values: Sequence[float | None]) -> str:
    """Return a bar for each value, from the lowest to the highest; a dot for None. Equal values are bars of half the height."""
    known = [value for value in values if value is not None]
    lowest = min(known, default=0)
    spread = max(known, default=0) - lowest
    steps = (value if value is None else round((value - lowest) / spread * 7) if spread else 4 for value in values)
    return "".join("·" if step is None else _BARS[step] for step in steps)
