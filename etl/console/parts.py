"""The parts of what people see: tables, lines, and text that no terminal obeys."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement, measure_renderables
from rich.table import Table
from rich.text import Text

from etl.base.terminal import harmless, short, short_place

#: Columns of a table that goes to a pipe or a file.
PIPE_WIDTH = 240

#: Of many names so many are shown.
_NAMED = 5

#: The names of fields are as wide as this, or as the longest.
_NAME_WIDTH = 12

#: The names of columns that hold counts: they are aligned to the right.
COUNTS = {"in", "out", "accepted", "rejected", "quarantined", "skipped", "records", "rows"}

#: The colour of a cell that holds one of these words.
STYLES = {
    "ok": "green", "reused": "green", "yes": "green", "warn": "yellow", "unchecked": "yellow", "not_run": "yellow",
    "failed": "red", "not passed": "red", "no": "red", "alert": "red", "reuse": "green", "run": "yellow",
}  # fmt: skip


def show_table(title: str, names: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> None:
    """Print a table with these columns, and a line below it. No word is broken as long as the longest ones fit side by side."""
    console = open_console()
    cells = [[_cell(value) for value in row] for row in rows]
    columns = zip([safe(name) for name in names], *cells, strict=True)
    sizes = [measure_renderables(console, console.options, column) for column in columns]
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    for name, width in zip(names, _widths(sizes, console.width - len(names) + 1), strict=True):
        table.add_column(safe(name), width=width, overflow="fold", justify="right" if name in COUNTS else "left")
    for row in cells:
        table.add_row(*row)
    if title:
        say(title, "italic")
    console.print(table, "")
    if note:
        say(note)


def _widths(sizes: Sequence[Measurement], room: int) -> list[int]:
    """Return how wide each column is: the widest shrink first, and below their longest word only if nothing else helps."""
    widths = [max(size.maximum, 1) for size in sizes]
    while sum(widths) > max(room, len(widths)):
        widest = max(range(len(widths)), key=lambda at: (widths[at] > sizes[at].minimum, widths[at]))
        widths[widest] -= 1
    return widths


def _cell(value: object) -> Text:
    """Return a value as a cell shows it: numbers with commas, truth as yes or no, nothing as nothing, words in their colour."""
    match value:
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:,}"
        case _:
            text = "" if value is None else str(value)
    return safe(text, STYLES.get(text, ""))


def show_fields(title: str, fields: Iterable[tuple[str, object]]) -> None:
    """Show a title, and a field a line below it."""
    say(title, "bold")
    shown = [(harmless(name), value) for name, value in fields]
    width = max([_NAME_WIDTH, *(len(name) for name, _ in shown)])
    for name, value in shown:
        text = safe("" if value is None else str(value))
        open_console().print(Text.assemble((f"  {name:<{width}} ", "dim"), text), soft_wrap=True)


def say(text: str, style: str = "") -> None:
    """Print a line."""
    open_console().print(safe(text, style), soft_wrap=True)


def print_exactly(text: str) -> None:
    """Print text as it stands, for another program; on a terminal its lines without characters that a terminal obeys."""
    if sys.stdout.isatty():
        text = "\n".join(map(harmless, text.replace("\r\n", "\n").split("\n")))
    sys.stdout.write(text)


def say_line(text: str, style: str = "") -> None:
    """Print a text on one line, even if it holds line feeds."""
    say(harmless(text), style)


def warn(sentence: str) -> None:
    """Print a sentence on stderr."""
    Console(stderr=True).print(Text(harmless(f"etl: {sentence}")), soft_wrap=True)


def place_of(record: Mapping[str, Any]) -> str:
    """Return the place of a record, with its number among those of its item where that is above 1."""
    number = record["record_number"]
    return short_place(record["source_path"], record["item_number"]) + (f" record {number}" if number > 1 else "")


def list_parts(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return how many items belong to a record, and the places of the first of them."""
    places = [short_place(part["source_path"], part["item_number"]) for part in parts]
    return f"{len(parts):,}: {list_some(places)}"


def list_some(names: Sequence[str]) -> str:
    """Return the first names, and how many there are beside them."""
    more = f" and {len(names) - _NAMED:,} more (--json names all)" if len(names) > _NAMED else ""
    return f"{', '.join(map(short, names[:_NAMED]))}{more}"


def short_count(count: int) -> str:
    """Return a count in at most nine characters, so that a run's table fits 80 columns: from ten million on in millions."""
    return f"{count:,}" if count < 10_000_000 else f"{count / 1e6:,.1f} M"


def open_console() -> Console:
    """Return a console; a pipe has no width, so tables are wide there."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


def safe(text: str, style: str = "") -> Text:
    """Return text without markup and without characters that a terminal obeys; line feeds stay."""
    return Text("\n".join(harmless(line) for line in text.split("\n")), style)
