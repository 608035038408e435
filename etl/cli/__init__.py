"""The command ``etl``: a few lines per command; nothing outside this package prints or exits.

What a command needs is imported when it runs, so that ``etl --help`` answers at once.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.answer import Answer, answered
from etl.cli.options import (
    Against,
    AsJson,
    Assignments,
    Evidence,
    Explain,
    FailOn,
    History,
    Inputs,
    Manner,
    Pin,
    Root,
    RunId,
    Threshold,
    Unpin,
    project_at,
    require_one_of,
    settings_of,
)
from etl.errors import NotFoundError, SettingError, UsageError

if TYPE_CHECKING:
    from etl.answers import Check
    from etl.project import Project
    from etl.runner import Outcome
    from etl.settings import Settings
    from etl.warehouse import Warehouse

app = typer.Typer(
    help="Evidence of LLM agents in; clean RAG, SFT and preference datasets, and their receipts, out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


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
@answered
def run_all(inputs: Inputs, manner: Manner) -> Answer:
    """Run what is not as it was, and publish: collect, score, export-rag, export-sft, export-preference."""
    return _run([], inputs, manner)


@app.command("run")
@answered
def run(
    stages: Annotated[list[str], typer.Argument(metavar="STAGE…", help="Stages; export-all names the three exports.")],
    inputs: Inputs,
    manner: Manner,
) -> Answer:
    """Run some stages where they are not as they were, and publish; the others are carried over."""
    return _run(stages, inputs, manner)


def _run(stages: list[str], inputs: Inputs, manner: Manner) -> Answer:
    from etl.console import progress_bars, show_books, show_outcome
    from etl.runner import execute, foresee

    with progress_bars() as progress:
        request = manner.request(inputs, stages, progress)
        if manner.dry_run:
            books = foresee(request)
            return Answer(books, partial(show_books, books, request.project))
        outcome = execute(request)
    return Answer(outcome.summary, partial(show_outcome, outcome, request.project), _exit_code(outcome), outcome.error)


def _exit_code(outcome: "Outcome") -> int:
    if not outcome.summary.overall_passed:
        return 1
    return 3 if outcome.dossier.drift.severity == "alert" else 0


@app.command()
@answered
def plan(
    inputs: Inputs,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 if a stage must run.")] = False,
) -> Answer:
    """Say which stages a run would run, and why, and which it would reuse; with the options of run-all."""
    from etl.console import show_plan
    from etl.runner import plan_of

    request = inputs.request()
    _recovered(request.project)
    found = plan_of(request)
    return Answer(found, partial(show_plan, found), 1 if check and found.stale else 0)


@app.command()
@answered
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
) -> Answer:
    """Compare a run with the prior one that published, or the pinned one; exit code 3 on an alert."""
    if fail_on not in {"alert", "warn"}:
        raise SettingError(f"--fail-on {fail_on}: it is alert or warn.")
    require_one_of({"--pin": pin, "--unpin": unpin, "--history": history, "--against": against})
    if run_id and (pin or unpin or history):
        raise UsageError(f"{run_id}: --pin, --unpin and --history are about all runs; leave it out.")
    settings = settings_of(assignments, threshold)
    project = project_at(root)
    if pin or unpin:
        return _pinned(project, settings, pin)
    if history:
        return _courses(project, settings)
    return _drift(project, settings, run_id, against, explain, {"alert"} if fail_on == "alert" else {"alert", "warn"})


def _pinned(project: "Project", settings: "Settings", run_id: str | None) -> Answer:
    from etl.console import show_pin
    from etl.drift import pin, unpin

    if run_id is None:
        unpin(project)
    else:
        with _history(project, settings) as history:
            pin(project, history, run_id)
    return Answer({"pinned": run_id}, partial(show_pin, run_id))


def _courses(project: "Project", settings: "Settings") -> Answer:
    from etl.console import show_courses
    from etl.drift import courses

    with _history(project, settings) as history:
        rows = courses(history)
    return Answer(rows, partial(show_courses, rows))


def _drift(
    project: "Project", settings: "Settings", run_id: str | None, against: str | None, explain: bool, fails: set[str]
) -> Answer:
    from etl.console import show_drift
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
    document = report.model_dump(mode="json") | ({} if comparisons is None else {"comparisons": comparisons})
    return Answer(document, partial(show_drift, report, comparisons), 3 if report.severity in fails else 0)


@app.command()
@answered
def receipts(
    run_id: RunId = None,
    root: Root = Path(),
    form: Annotated[
        str, typer.Option("--format", help="table, or in-toto: a line of JSON for each stage (Statement v1, SLSA v1).")
    ] = "table",
    key: Annotated[Path | None, typer.Option("--sign", metavar="KEYFILE", help="Sign each line of in-toto.")] = None,
    as_json: AsJson = False,
) -> Answer:
    """Show the receipts of a run; or state them in the standard form, signed if a key is given."""
    if form not in {"table", "in-toto"}:
        raise UsageError(f"--format {form}: it is table or in-toto.")
    if form == "in-toto":
        if as_json:
            raise UsageError("--json prints one document, and --format in-toto a line for each stage; name one.")
        return _statements(run_id, project_at(root), key)
    if key is not None:
        raise UsageError("--sign: only what --format in-toto prints can be signed; add it.")
    from etl.console import show_receipts
    from etl.history import require_documents, require_run

    project = project_at(root)
    with _history(project) as history:
        summary, documents = require_documents(project.reports / require_run(history, run_id))
    return Answer({"summary": summary, "receipts": documents}, partial(show_receipts, summary, documents))


def _statements(run_id: str | None, project: "Project", key_file: Path | None) -> Answer:
    from etl.attest import stated_by
    from etl.markdown import harmless
    from etl.signing import read_private_key, sign

    key = read_private_key(key_file) if key_file else None
    with _history(project) as history:
        stated = stated_by(project, history, run_id)
    for receipt in stated.left_out:
        typer.echo(
            harmless(f"etl: {receipt.stage} is left out: it is {receipt.status}, and has no output that stands."),
            err=True,
        )
    if not stated.statements:
        raise NotFoundError("No stage of this run has an output that stands, so there is nothing to state.")
    lines = [statement.to_line() for statement in stated.statements]
    signed = [sign(line.encode(), key).to_line() for line in lines] if key else lines
    return Answer(None, partial(typer.echo, "\n".join(signed)))


@app.command()
@answered
def keygen(
    file: Annotated[Path, typer.Argument(metavar="NAME", help="The private key's file; NAME.pub is the public key's.")],
) -> Answer:
    """Make a pair of ed25519 keys to sign receipts with; nothing is overwritten."""
    from etl.answers import KeyPair
    from etl.signing import make_keys

    public, keyid = make_keys(file)
    said = f"private {file} (keep it to yourself)\npublic  {public} (give it away)\nkeyid   {keyid}"
    return Answer(KeyPair(private=str(file), public=str(public), keyid=keyid), partial(typer.echo, said))


@app.command()
@answered
def verify(
    run_id: RunId = None,
    root: Root = Path(),
    evidence: Evidence = None,
    everything: Annotated[bool, typer.Option("--all", help="Check the whole chain of runs, and every file.")] = False,
    head: Annotated[
        str | None, typer.Option("--head", metavar="HASH", help="A head written down elsewhere must be in the chain.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="PUBFILE", help="Check --envelopes with it.")] = None,
    envelopes: Annotated[
        Path | None, typer.Option("--envelopes", metavar="FILE", help="Signed lines of etl receipts; -: stdin.")
    ] = None,
) -> Answer:
    """Re-hash every file that a run's receipts name, or check all runs, or signed receipts; exit code 1 if one is wrong."""
    if (everything or head) and (run_id or key or envelopes):
        raise UsageError("verify: --all and --head check every run; leave out the run, --key and --envelopes.")
    project = project_at(root)
    if everything or head:
        from etl.verify import verify_all

        checks = verify_all(_recovered(project), head, evidence)
    elif key is not None or envelopes is not None:
        checks = _envelope_checks(run_id, project, key, envelopes)
    else:
        from etl.verify import verify as checks_of

        with _history(project) as history:
            checks = checks_of(project, history, run_id, evidence)
    return _checked("verify", checks)


def _checked(title: str, checks: "list[Check]") -> Answer:
    from etl.console import show_checks

    is_well = all(check.status != "failed" for check in checks)
    return Answer(checks, partial(show_checks, title, checks), 0 if is_well else 1)


def _envelope_checks(
    run_id: str | None, project: "Project", key_file: Path | None, envelopes: Path | None
) -> "list[Check]":
    from etl.attest import check_envelopes
    from etl.signing import read_public_key

    if key_file is None or envelopes is None:
        raise UsageError("--key PUBFILE and --envelopes FILE go together; name both.")
    if run_id is not None:
        raise UsageError("--envelopes: they say themselves which run they are about; name no run.")
    key = read_public_key(key_file)
    text = sys.stdin.buffer.read() if str(envelopes) == "-" else _bytes_of(envelopes)
    with _history(project) as history:
        return check_envelopes(project, history, text, str(envelopes), key)


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{file}: it cannot be read ({error.strerror}).") from None


@app.command()
@answered
def replay(run_id: RunId = None, root: Root = Path(), evidence: Evidence = None) -> Answer:
    """Run an earlier run again in a scratch root, and compare every byte; exit code 1 if one differs."""
    from etl.console import progress_bars, show_replay
    from etl.history import require_run
    from etl.replay import replay as replay_of

    project = project_at(root)
    with _history(project) as history:
        wanted = require_run(history, run_id)
    with progress_bars() as progress:
        found = replay_of(project, wanted, evidence, progress)
    return Answer(found, partial(show_replay, found), 0 if found.is_equal else 1)


@app.command()
@answered
def diff(
    from_run: Annotated[str, typer.Argument(metavar="RUN_A", help="A published run's id.")],
    to_run: Annotated[str, typer.Argument(metavar="RUN_B", help="The id of the run to compare it with.")],
    root: Root = Path(),
    sample: Annotated[int, typer.Option("--sample", min=0, help="Examples of each kind of change.")] = 3,
    assignments: Assignments = None,
) -> Answer:
    """Show which rows of each dataset entered, left or changed between two runs, and why."""
    from etl.console import show_diff
    from etl.diff import diff as diff_of
    from etl.warehouse import Warehouse

    settings = settings_of(assignments)
    project = _recovered(project_at(root))
    with Warehouse.published(project.warehouse) as warehouse:
        found = diff_of(project, warehouse, from_run, to_run, sample, settings.history_runs)
    return Answer(found, partial(show_diff, found))


@app.command()
@answered
def accept() -> Answer:
    """Try every promise of the product on a bundled fixture, in a scratch root; exit code 1 if one is not kept."""
    from etl.accept import accept as gates_of
    from etl.console import show_gates

    found = gates_of()
    return Answer(found, partial(show_gates, found), 0 if found.passed else 1)


@app.command()
@answered
def explain(
    wanted: Annotated[
        str, typer.Argument(metavar="ID", help="An evidence_id, a row's id, a line_sha256, or path:line.")
    ],
    root: Root = Path(),
) -> Answer:
    """Show an id's way from file and line through rule, category and fate in each dataset, with its text."""
    from etl.console import show_way
    from etl.explain import explain as way_of
    from etl.warehouse import Warehouse

    with Warehouse.published(_recovered(project_at(root)).warehouse) as warehouse:
        found = way_of(warehouse, wanted)
    return Answer(found, partial(show_way, found))


@app.command()
@answered
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Any SQL that only reads.")], root: Root = Path()
) -> Answer:
    """Query the published warehouse; nothing can be written, and no other file be read."""
    from etl.console import show_rows
    from etl.signals import stoppable
    from etl.warehouse import Warehouse

    with Warehouse.published(_recovered(project_at(root)).warehouse) as warehouse, stoppable(warehouse.interrupt):
        names, rows = warehouse.query(query)
    return Answer([dict(zip(names, row, strict=True)) for row in rows], partial(show_rows, names, rows))


@app.command()
@answered
def health(root: Root = Path(), evidence: Evidence = None) -> Answer:
    """Tell whether this root is fit for a run, and what to do if it is not."""
    from etl.health import examine

    return _checked("health", examine(project_at(root, evidence), settings_of()))


def _recovered(project: "Project") -> "Project":
    """Finish what a cut run left, as every command does first."""
    from etl.publish import Workshop

    workshop = Workshop(project)
    if workshop.journal.is_file():
        from etl.runner import write_cut_run

        workshop.recover_if_cut(lambda entry: write_cut_run(project, entry))
    return project


@contextmanager
def _history(project: "Project", settings: "Settings | None" = None) -> "Iterator[Warehouse]":
    from etl.history import load_history
    from etl.views import Sql

    project = _recovered(project)
    history = load_history(project, Sql.of(project.overlay), settings or settings_of())
    try:
        yield history
    finally:
        history.close()
