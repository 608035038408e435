"""The command ``etl``: a few lines per command; nothing outside this package prints or exits.

What a command needs is imported when it runs, so that ``etl --help`` answers at once.
"""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from etl.base.memory import keep_freed_memory
from etl.cli.drift import drift
from etl.cli.inspect import diff, explain, health, sql
from etl.cli.result import as_command
from etl.cli.run import accept, plan, recover, replay, run, run_all
from etl.cli.verify import keygen, receipts, verify

#: In the order in which the help lists them.
COMMANDS = (run_all, run, plan, recover, drift, receipts, keygen, verify, replay, diff, accept, explain, sql, health)

app = typer.Typer(
    help="Evidence of LLM agents in; clean RAG, SFT and preference datasets, and their receipts, out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Evidence of LLM agents in; clean RAG, SFT and preference datasets, and their receipts, out."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # evidence holds any character; a terminal or pipe that takes fewer must not end the command
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    keep_freed_memory()
    if version:
        from etl import __version__

        typer.echo(f"etl {__version__}")
        raise typer.Exit


for _command in COMMANDS:
    app.command(_command.__name__.replace("_", "-"))(as_command(_command))
