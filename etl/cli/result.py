"""What a command answers, and the one place where an answer or an error is printed and the exit code decided."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import partial, wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import typer

from etl.base.errors import EtlError
from etl.cli.options import AsJson, Debug

if TYPE_CHECKING:
    from etl.receipts.models import Check


class Answer(NamedTuple):
    """A document for --json, how it is shown to people otherwise, and the exit code, or the error that stopped a run."""

    document: Any
    show: Callable[[], None]
    exit_code: int = 0
    error: BaseException | None = None


def checked(title: str, checks: "list[Check]") -> Answer:
    """Return the answer of a command that checks things: exit code 1 if one is wrong."""
    from etl.console.show import show_checks

    is_well = all(check.status != "failed" for check in checks)
    return Answer(checks, partial(show_checks, title, checks), 0 if is_well else 1)


def as_command(command: Callable[..., Answer]) -> Callable[..., None]:
    """Make a command of a function that answers: with --json and --debug, and errors that are for people.

    A parameter that is a dataclass (a group of options) becomes the options that it holds. A command that asks for
    ``as_json`` itself is given it.
    """
    given = signature(command).parameters
    groups: dict[str, Any] = {name: taken.annotation for name, taken in given.items() if is_dataclass(taken.annotation)}
    options = {option.name: option for taken in given.values() for option in _spread(taken)}
    for name, kind in (("as_json", AsJson), ("debug", Debug)):
        options[name] = Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=kind)

    @wraps(command)
    def run(*, as_json: bool, debug: bool, **values: Any) -> None:
        with _errors_for_people(as_json, debug):
            if "as_json" in given:
                values["as_json"] = as_json
            for name, group in groups.items():
                values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
            answer = command(**values)
            if as_json:
                _print_json(answer.document)
            else:
                answer.show()
            if answer.error is not None:
                _fail(answer.error, debug)
            raise typer.Exit(answer.exit_code)

    run.__signature__ = signature(command).replace(parameters=list(options.values()), return_annotation=None)  # type: ignore[attr-defined]
    return run


def _spread(parameter: Parameter) -> Iterator[Parameter]:
    """Yield a parameter as a keyword, or one for each field of the group that it is."""
    if is_dataclass(parameter.annotation):
        for field in fields(parameter.annotation):
            yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
    else:
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY)


@contextmanager
def _errors_for_people(as_json: bool, debug: bool) -> Iterator[None]:
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, a person gets one sentence
        if as_json:
            _print_json({"error": _sentence(error)})
        _fail(error, debug)


def _fail(error: BaseException, debug: bool) -> NoReturn:
    from etl.receipts.markdown import harmless

    if debug:
        traceback.print_exception(error)
    typer.echo(harmless(f"etl: {_sentence(error)}"), err=True)
    raise typer.Exit(error.exit_code if isinstance(error, EtlError) else 1)


def _sentence(error: BaseException) -> str:
    if isinstance(error, EtlError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "The command was interrupted; the published version is unchanged."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the system'}: {error.strerror}."
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"An error that the program did not foresee ({what}); run it again with --debug and report the traceback."


def _print_json(document: Any) -> None:
    from etl.base.plain import to_json

    sys.stdout.write(to_json(_plain(document)) + "\n")


def _plain(document: Any) -> Any:
    """Return a document, or what holds some, as values."""
    from etl.receipts.models import Document

    match document:
        case Document():
            return document.model_dump(mode="json", by_alias=True)
        case list():
            return [_plain(part) for part in document]
        case dict():
            return {name: _plain(part) for name, part in document.items()}
        case _:
            return document
