"""The command ``etl``: a few lines per command, and the only module that prints or exits.

What a command needs is imported when it runs, so that ``etl --help`` answers at once.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from etl.errors import EtlError, SettingError, UsageError

if TYPE_CHECKING:
    from etl.pipeline import Stage
    from etl.project import Project
    from etl.runner import Outcome
    from etl.settings import Manifest, Settings
    from etl.warehouse import Warehouse

app = typer.Typer(
    help="Evidence of LLM agents in; clean RAG, SFT and preference datasets, and their receipts, out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Root = Annotated[Path, typer.Option("--root", help="Where warehouse/, exports/, reports/ and an overlay sql/ are.")]
Evidence = Annotated[Path | None, typer.Option("--evidence", help="The evidence folder (default: ROOT/evidence).")]
IncludePartial = Annotated[bool, typer.Option("--include-partial", help="Admit partially_accepted into sft.")]
IncludeReview = Annotated[bool, typer.Option("--include-review", help="Admit needs_human_review into rag.")]
KnownPaths = Annotated[
    Path | None, typer.Option("--known-paths", help="Manifest of the repository's paths, as git ls-files prints it.")
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Follow links that lead out of the evidence folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; write nothing.")]
RecordedAt = Annotated[
    str | None, typer.Option("--recorded-at", help="Pin the receipts' clock to this time (ISO 8601).")
]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a setting; repeatable.")
]
Threshold = Annotated[float | None, typer.Option("--threshold", help="Relative swing that drift warns about.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop after collect if a line was skipped.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
RunId = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's id (default: the newest).")]
Against = Annotated[str | None, typer.Option("--against", metavar="RUN", help="Compare with this earlier run.")]
Pin = Annotated[
    str | None, typer.Option("--pin", metavar="RUN", help="Compare later runs with this one from now on, then stop.")
]
Unpin = Annotated[bool, typer.Option("--unpin", help="Compare each run with the one before it again, then stop.")]
Explain = Annotated[bool, typer.Option("--explain", help="List every comparison and what each condition said of it.")]
History = Annotated[bool, typer.Option("--history", help="Show the course of every figure over all runs, then stop.")]
FailOn = Annotated[str, typer.Option("--fail-on", help="The severity from which on the exit code is 3: alert or warn.")]


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Evidence of LLM agents in; clean RAG, SFT and preference datasets, and their receipts, out."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # evidence holds any character; a terminal or pipe that takes fewer must not end the command
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if version:
        from etl import __version__

        typer.echo(f"etl {__version__}")
        raise typer.Exit


@app.command("run-all")
def run_all(
    root: Root = Path(),
    evidence: Evidence = None,
    include_partial: IncludePartial = False,
    include_review: IncludeReview = False,
    known_paths: KnownPaths = None,
    dry_run: DryRun = False,
    recorded_at: RecordedAt = None,
    assignments: Assignments = None,
    threshold: Threshold = None,
    fail_fast: FailFast = False,
    follow_links: FollowLinks = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run every stage and publish: collect, score, export-rag, export-sft, export-preference."""
    with _errors_for_people(as_json, debug):
        settings, paths = _settings(assignments, known_paths, include_partial, include_review, threshold, follow_links)
        _run([], _project(root, evidence), settings, paths, recorded_at, fail_fast, dry_run, as_json, debug)


@app.command("run")
def run(
    stages: Annotated[list[str], typer.Argument(metavar="STAGE…", help="Stages; export-all names the three exports.")],
    root: Root = Path(),
    evidence: Evidence = None,
    include_partial: IncludePartial = False,
    include_review: IncludeReview = False,
    known_paths: KnownPaths = None,
    dry_run: DryRun = False,
    recorded_at: RecordedAt = None,
    assignments: Assignments = None,
    threshold: Threshold = None,
    fail_fast: FailFast = False,
    follow_links: FollowLinks = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run some stages and publish; the others are carried over from the published version."""
    with _errors_for_people(as_json, debug):
        settings, paths = _settings(assignments, known_paths, include_partial, include_review, threshold, follow_links)
        _run(stages, _project(root, evidence), settings, paths, recorded_at, fail_fast, dry_run, as_json, debug)


@app.command()
def drift(
    run_id: RunId = None,
    root: Root = Path(),
    threshold: Threshold = None,
    assignments: Assignments = None,
    fail_on: FailOn = "alert",
    against: Against = None,
    pin: Pin = None,
    unpin: Unpin = False,
    explain: Explain = False,
    history: History = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare a run with the prior one that published, or the pinned one; exit code 3 on an alert."""
    with _errors_for_people(as_json, debug):
        if fail_on not in {"alert", "warn"}:
            raise SettingError(f"--fail-on {fail_on}: it is alert or warn.")
        _require_one_of({"--pin": pin, "--unpin": unpin, "--history": history, "--against": against})
        if run_id and (pin or unpin or history):
            raise UsageError(f"{run_id}: --pin, --unpin and --history are about all runs; leave it out.")
        settings, _ = _settings(assignments, None, False, False, threshold)
        project = _project(root, None)
        if pin or unpin:
            _pin(project, settings, pin, as_json)
        elif history:
            _show_courses(project, settings, as_json)
        else:
            severity = _show_drift(project, settings, run_id, against, explain, as_json)
            fails = {"alert"} if fail_on == "alert" else {"alert", "warn"}
            raise typer.Exit(3 if severity in fails else 0)


@app.command()
def receipts(run_id: RunId = None, root: Root = Path(), as_json: AsJson = False, debug: Debug = False) -> None:
    """Show the receipts of a run."""
    with _errors_for_people(as_json, debug):
        from etl.history import read_documents, require_run

        project = _project(root, None)
        settings, _ = _settings(None, None, False, False, None)
        with _history(project, settings) as history:
            folder = project.reports / require_run(history, run_id)
        try:
            summary, documents = read_documents(folder)
        except (OSError, ValueError) as error:
            raise UsageError(f"{folder}: its documents cannot be read ({str(error).splitlines()[0]}).") from None
        if as_json:
            _print_json(
                {
                    "summary": summary.model_dump(mode="json", by_alias=True),
                    "receipts": [document.model_dump(mode="json", by_alias=True) for document in documents],
                }
            )
        else:
            from etl.console import show_receipts

            show_receipts(summary, documents)


@app.command()
def verify(
    run_id: RunId = None, root: Root = Path(), evidence: Evidence = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Re-hash every file that a run's receipts name; exit code 1 if one is not as recorded."""
    with _errors_for_people(as_json, debug):
        from etl.verify import verify as checks_of

        project = _project(root, evidence)
        settings, _ = _settings(None, None, False, False, None)
        with _history(project, settings) as history:
            checks = checks_of(project, history, run_id)
        if as_json:
            _print_json([check.to_dict() for check in checks])
        else:
            from etl.console import show_checks

            show_checks("verify", [(check.what, check.status, check.detail) for check in checks])
        raise typer.Exit(1 if any(check.status == "failed" for check in checks) else 0)


@app.command()
def explain(
    wanted: Annotated[
        str, typer.Argument(metavar="ID", help="An evidence_id, a row's id, a line_sha256, or path:line.")
    ],
    root: Root = Path(),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show an id's way from file and line through rule, category and fate in each dataset, with its text."""
    with _errors_for_people(as_json, debug):
        from etl.explain import explain as way_of
        from etl.warehouse import Warehouse

        with Warehouse.published(_recovered(_project(root, None)).warehouse) as warehouse:
            found = way_of(warehouse, wanted)
        if as_json:
            _print_json(found)
        else:
            from etl.console import show_way

            show_way(found)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Any SQL that only reads.")],
    root: Root = Path(),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Query the published warehouse; nothing can be written, and no other file be read."""
    with _errors_for_people(as_json, debug):
        from etl.warehouse import Warehouse

        with Warehouse.published(_recovered(_project(root, None)).warehouse) as warehouse:
            names, rows = warehouse.query(query)
        if as_json:
            _print_json([dict(zip(names, row, strict=True)) for row in rows])
        else:
            from etl.console import show_rows

            show_rows(names, rows)


@app.command()
def health(root: Root = Path(), evidence: Evidence = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Tell whether this root is fit for a run, and what to do if it is not."""
    with _errors_for_people(as_json, debug):
        from etl.health import examine

        settings, _ = _settings(None, None, False, False, None)
        findings = examine(_project(root, evidence), settings)
        if as_json:
            _print_json([finding.to_dict() for finding in findings])
        else:
            from etl.console import show_checks

            show_checks("health", [(finding.what, finding.status, finding.detail) for finding in findings])
        raise typer.Exit(1 if any(finding.status == "failed" for finding in findings) else 0)


def _require_one_of(flags: dict[str, object]) -> None:
    given = [flag for flag, value in flags.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} ask for different things; give one of them.")


def _pin(project: "Project", settings: "Settings", run_id: str | None, as_json: bool) -> None:
    from etl.drift import pin, unpin

    if run_id is None:
        unpin(project)
    else:
        with _history(project, settings) as history:
            pin(project, history, run_id)
    if as_json:
        _print_json({"pinned": run_id})
    else:
        from etl.console import show_pin

        show_pin(run_id)


def _show_courses(project: "Project", settings: "Settings", as_json: bool) -> None:
    from etl.drift import courses

    with _history(project, settings) as history:
        rows = courses(history)
    if as_json:
        _print_json(rows)
    else:
        from etl.console import show_courses

        show_courses(rows)


def _show_drift(
    project: "Project", settings: "Settings", run_id: str | None, against: str | None, explain: bool, as_json: bool
) -> str:
    """Show the drift of a run and return its severity."""
    from etl.drift import compare_against, comparisons_of, drift_of
    from etl.history import require_pin, require_run

    with _history(project, settings) as history:
        run_id = require_run(history, run_id)
        if against is None:
            require_pin(project, history)
        else:
            compare_against(history, run_id, against)
        report = drift_of(history, run_id)
        comparisons = comparisons_of(history, run_id) if explain else None
    if as_json:
        document = report.model_dump(mode="json")
        _print_json(document if comparisons is None else document | {"comparisons": comparisons})
    else:
        from etl.console import show_comparisons, show_drift

        show_drift(report)
        if comparisons is not None:
            show_comparisons(comparisons)
    return report.severity


def _run(
    names: list[str],
    project: "Project",
    settings: "Settings",
    known_paths: "Manifest | None",
    recorded_at: str | None,
    fail_fast: bool,
    dry_run: bool,
    as_json: bool,
    debug: bool,
) -> None:
    from etl.console import progress_bars, show_books, show_outcome
    from etl.run import Clock
    from etl.runner import Request, execute, foresee

    with progress_bars() as progress:
        request = Request(
            project,
            settings,
            known_paths,
            _stages(names),
            Clock(_time(recorded_at)),
            progress,
            fail_fast,
        )
        books = foresee(request) if dry_run else []
        outcome = None if dry_run else execute(request)
    if outcome is None:
        if as_json:
            _print_json(books)
        else:
            show_books(books, project)
        return
    if as_json:
        _print_json(outcome.summary.model_dump(mode="json", by_alias=True))
    else:
        show_outcome(outcome, project)
    if outcome.error is not None:
        _fail(outcome.error, debug)
    raise typer.Exit(_exit_code(outcome))


def _exit_code(outcome: "Outcome") -> int:
    if not outcome.summary.overall_passed:
        return 1
    return 3 if outcome.dossier.drift.severity == "alert" else 0


def _stages(names: list[str]) -> "tuple[Stage, ...]":
    from etl.pipeline import STAGES

    exports = {stage.name for stage in STAGES if stage.exports}
    chosen: set[str] = set()
    for name in names or [stage.name for stage in STAGES]:
        if name == "export-all":
            chosen |= exports
        elif name in {stage.name for stage in STAGES}:
            chosen.add(name)
        else:
            known = ", ".join([*(stage.name for stage in STAGES), "export-all"])
            raise UsageError(f"There is no stage {name!r}; the stages are {known}.")
    return tuple(stage for stage in STAGES if stage.name in chosen)


def _project(root: Path, evidence: Path | None) -> "Project":
    from etl.project import Project

    if not root.is_dir():
        raise UsageError(f"{root}: there is no such folder; name the root with --root DIR.")
    return Project.at(root, evidence)


def _recovered(project: "Project") -> "Project":
    """Finish what a cut run left, as every command does first."""
    from etl.publish import Workshop

    workshop = Workshop(project)
    if workshop.journal.is_file():
        from etl.runner import write_cut_run

        workshop.recover_if_cut(lambda entry: write_cut_run(project, entry))
    return project


@contextmanager
def _history(project: "Project", settings: "Settings") -> "Iterator[Warehouse]":
    from etl.history import load_history
    from etl.views import Sql

    project = _recovered(project)
    history = load_history(project, Sql.of(project.overlay), settings)
    try:
        yield history
    finally:
        history.close()


def _settings(
    assignments: list[str] | None,
    known_paths: Path | None,
    include_partial: bool,
    include_review: bool,
    threshold: float | None,
    follow_links: bool = False,
) -> "tuple[Settings, Manifest | None]":
    from etl.settings import parse_settings, read_known_paths

    paths = read_known_paths(known_paths) if known_paths else None
    settings = parse_settings(
        assignments or [],
        include_partial=include_partial or None,
        include_review=include_review or None,
        follow_links=follow_links or None,
        drift_threshold=threshold,
        known_paths_sha256=paths.sha256() if paths else None,
    )
    return settings, paths


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
        return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingError(f"--recorded-at {text}: it is no ISO 8601 time, such as 2026-01-31T12:00:00Z.") from None


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
    from etl.markdown import harmless

    if debug:
        traceback.print_exception(error)
    typer.echo(harmless(f"etl: {_sentence(error)}"), err=True)
    raise typer.Exit(error.exit_code if isinstance(error, EtlError) else 1)


def _sentence(error: BaseException) -> str:
    if isinstance(error, EtlError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted; the published version is as it was."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the system'}: {error.strerror}."
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"An error that the program did not foresee ({what}); run it again with --debug and report the traceback."


def _print_json(document: Any) -> None:
    from etl.plain import to_json

    sys.stdout.write(to_json(document) + "\n")
