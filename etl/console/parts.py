"""The parts of what people see: tables, lines, and text that no terminal obeys."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from etl.receipts.markdown import harmless

#: Columns of a table that goes to a pipe or a file.
PIPE_WIDTH = 240

#: Names of columns that hold counts.
COUNTS = {"in", "out", "accepted", "rejected", "quarantined", "skipped", "records", "rows"}

#: Digits of an id that people see: of a billion ids no two begin with the same sixteen.
SHOWN_DIGITS = 16

#: The colour of a word that tells how something is.
STYLES = {
    "ok": "green", "reused": "green", "yes": "green", "warn": "yellow", "unchecked": "yellow", "not_run": "yellow",
    "failed": "red", "not passed": "red", "no": "red", "alert": "red", "reuse": "green", "run": "yellow",
}  # fmt: skip


def new_table(title: str, *names: str) -> Table:
    """Return a table with these columns and no row yet; counts stand to the right."""
    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    for name in names:
        table.add_column(safe(name), overflow="fold", justify="right" if name in COUNTS else "left")
    return table


def show(table: Table) -> None:
    """Print a table."""
    open_console().print(table)


def say(text: str, style: str = "") -> None:
    """Print a line."""
    open_console().print(safe(text, style), soft_wrap=True)


def short_count(count: int) -> str:
    """Return a count as a table of 80 columns takes it: from ten million on in millions."""
    return f"{count:,}" if count < 10_000_000 else f"{count / 1e6:,.1f} M"


def short_id(full: str) -> str:
    """Return the beginning of an id, by which etl explain finds it."""
    return full[:SHOWN_DIGITS]


def yes_or_no(good: bool) -> Text:
    """Return a word in its colour."""
    return Text("yes", "green") if good else Text("no", "red")


def open_console() -> Console:
    """Return a console; a pipe has no width, so there nothing is folded to fit one."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


def safe(text: str, style: str = "") -> Text:
    """Return text without markup and without characters that a terminal obeys; line feeds stay."""
    return Text("\n".join(harmless(line) for line in text.split("\n")), style)
