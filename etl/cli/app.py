"""The command ``etl``, and the one place where an answer or an error is printed and the exit code decided.

What a command needs is imported when it runs, so that ``etl --help`` answers at once.
"""

import sys
import traceback
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from io import TextIOWrapper
from typing import Annotated, Any

from typer import Exit, Option, Typer, echo

from etl import __version__
from etl.base.errors import EtlError, sentence_of
from etl.base.memory import keep_freed_memory
from etl.cli.commands import COMMANDS, Answer
from etl.console.parts import warn

app = Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, Option("--version", help="Print the version.")] = False) -> None:
    """Evidence of LLM agents in; clean RAG, SFT and preference datasets, and their receipts, out."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # evidence holds any character; a terminal or pipe that takes fewer must not end the command
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    keep_freed_memory()
    if version:
        echo(f"etl {__version__}")
        raise Exit


def _as_command(command: Callable[..., Answer]) -> Callable[..., None]:
    """Make a command of a function that answers: with --json and --debug, and with one sentence for any error.

    A parameter that is a dataclass becomes the options that are its fields.
    """
    given = signature(command).parameters
    groups: dict[str, Any] = {name: part.annotation for name, part in given.items() if is_dataclass(part.annotation)}

    def run(
        as_json: Annotated[bool, Option("--json", help="Print one JSON document.")] = False,
        debug: Annotated[bool, Option("--debug", help="Show the traceback of an error.")] = False,
        **values: Any,
    ) -> None:
        for name, group in groups.items():
            values[name] = group(**{option: values.pop(option) for option in signature(group).parameters})
        try:
            answer = command(**values)
            if as_json:
                _print_json(answer.document)
            else:
                answer.show()
        except BrokenPipeError:
            raise  # whoever read the output has enough; typer ends without a word
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, a person gets one sentence
            if as_json:
                # a path may hold bytes that are not UTF-8
                _print_json({"error": sentence_of(error).encode("utf-8", "backslashreplace").decode()})
            raise Exit(_report(error, debug)) from None
        raise Exit(answer.exit_code if answer.error is None else _report(answer.error, debug))

    options: list[Parameter] = []
    for name, part in given.items():
        options += signature(groups[name]).parameters.values() if name in groups else [part]
    options += list(signature(run).parameters.values())[:2]
    run.__signature__ = Signature([part.replace(kind=Parameter.KEYWORD_ONLY) for part in options])  # type: ignore[attr-defined]
    return wraps(command)(run)


def _report(error: BaseException, debug: bool) -> int:
    """Say on stderr what went wrong, and return the exit code."""
    if debug:
        traceback.print_exception(error)
    warn(sentence_of(error))
    return error.exit_code if isinstance(error, EtlError) else 1


def _print_json(document: Any) -> None:
    """Print a document, or what holds some, as JSON; a figure that is not a number becomes null."""
    from pydantic_core import to_json

    echo(to_json(document, indent=2, inf_nan_mode="null", fallback=str))


for _command in COMMANDS:
    app.command()(_as_command(_command))
