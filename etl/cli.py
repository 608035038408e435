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

from etl.errors import EtlError, NotFoundError, SettingError, UsageError

if TYPE_CHECKING:
    from etl.documents import Check
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
Force = Annotated[bool, typer.Option("--force", help="Run the stages even where nothing changed.")]
Rehash = Annotated[
    bool,
    typer.Option("--rehash", help="Read and hash every file again, also where the file system says nobody touched it."),
]
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
    force: Force = False,
    rehash: Rehash = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run what is not as it was, and publish: collect, score, export-rag, export-sft, export-preference."""
    with _errors_for_people(as_json, debug):
        settings, paths = _settings(assignments, known_paths, include_partial, include_review, threshold, follow_links)
        _run(
            [],
            _project(root, evidence),
            settings,
            paths,
            recorded_at,
            fail_fast,
            force,
            rehash,
            dry_run,
            as_json,
            debug,
        )


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
    force: Force = False,
    rehash: Rehash = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run some stages where they are not as they were, and publish; the others are carried over."""
    with _errors_for_people(as_json, debug):
        settings, paths = _settings(assignments, known_paths, include_partial, include_review, threshold, follow_links)
        _run(
            stages,
            _project(root, evidence),
            settings,
            paths,
            recorded_at,
            fail_fast,
            force,
            rehash,
            dry_run,
            as_json,
            debug,
        )


@app.command()
def plan(
    root: Root = Path(),
    evidence: Evidence = None,
    include_partial: IncludePartial = False,
    include_review: IncludeReview = False,
    known_paths: KnownPaths = None,
    assignments: Assignments = None,
    follow_links: FollowLinks = False,
    rehash: Rehash = False,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 if a stage must run.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say which stages a run would run, and why, and which it would reuse; with the options of run-all."""
    with _errors_for_people(as_json, debug):
        from etl.runner import Request, plan_of

        settings, paths = _settings(assignments, known_paths, include_partial, include_review, None, follow_links)
        found = plan_of(Request(_recovered(_project(root, evidence)), settings, paths, rehash=rehash))
        if as_json:
            _print_json(found.model_dump(mode="json"))
        else:
            from etl.console import show_plan

            show_plan(found)
        raise typer.Exit(1 if check and found.stale else 0)


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
def receipts(
    run_id: RunId = None,
    root: Root = Path(),
    form: Annotated[
        str, typer.Option("--format", help="table, or in-toto: a line of JSON for each stage (Statement v1, SLSA v1).")
    ] = "table",
    key: Annotated[Path | None, typer.Option("--sign", metavar="KEYFILE", help="Sign each line of in-toto.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show the receipts of a run; or state them in the standard form, signed if a key is given."""
    with _errors_for_people(as_json, debug):
        if form not in {"table", "in-toto"}:
            raise UsageError(f"--format {form}: it is table or in-toto.")
        if form == "in-toto":
            if as_json:
                raise UsageError("--json prints one document, and --format in-toto a line for each stage; name one.")
            _print_statements(run_id, _project(root, None), key)
            return
        if key is not None:
            raise UsageError("--sign: only what --format in-toto prints can be signed; add it.")
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
def keygen(
    file: Annotated[Path, typer.Argument(metavar="NAME", help="The private key's file; NAME.pub is the public key's.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a pair of ed25519 keys to sign receipts with; nothing is overwritten."""
    with _errors_for_people(as_json, debug):
        from etl.documents import KeyPair
        from etl.signing import make_keys

        public, keyid = make_keys(file)
        if as_json:
            _print_json(KeyPair(private=str(file), public=str(public), keyid=keyid).model_dump())
        else:
            typer.echo(f"private {file} (keep it to yourself)\npublic  {public} (give it away)\nkeyid   {keyid}")


@app.command()
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
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Re-hash every file that a run's receipts name, or check all runs, or signed receipts; exit code 1 if one is wrong."""
    with _errors_for_people(as_json, debug):
        if (everything or head) and (run_id or key or envelopes):
            raise UsageError("verify: --all and --head check every run; leave out the run, --key and --envelopes.")
        project = _project(root, None)
        settings, _ = _settings(None, None, False, False, None)
        if everything or head:
            from etl.verify import verify_all

            checks = verify_all(_recovered(project), head, evidence)
        elif key is not None or envelopes is not None:
            checks = _envelope_checks(run_id, project, settings, key, envelopes)
        else:
            from etl.verify import verify as checks_of

            with _history(project, settings) as history:
                checks = checks_of(project, history, run_id, evidence)
        if as_json:
            _print_json([check.model_dump() for check in checks])
        else:
            from etl.console import show_checks

            show_checks("verify", [(check.what, check.status, check.detail) for check in checks])
        raise typer.Exit(1 if any(check.status == "failed" for check in checks) else 0)


@app.command()
def replay(
    run_id: RunId = None, root: Root = Path(), evidence: Evidence = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Run an earlier run again in a scratch root, and compare every byte; exit code 1 if one differs."""
    with _errors_for_people(as_json, debug):
        from etl.console import progress_bars
        from etl.history import require_run
        from etl.replay import replay as replay_of

        project = _project(root, None)
        settings, _ = _settings(None, None, False, False, None)
        with _history(project, settings) as history:
            wanted = require_run(history, run_id)
        with progress_bars() as progress:
            found = replay_of(project, wanted, evidence, progress)
        if as_json:
            _print_json(found.model_dump(mode="json"))
        else:
            from etl.console import show_replay

            show_replay(found)
        raise typer.Exit(0 if found.is_equal else 1)


@app.command()
def diff(
    from_run: Annotated[str, typer.Argument(metavar="RUN_A", help="A published run's id.")],
    to_run: Annotated[str, typer.Argument(metavar="RUN_B", help="The id of the run to compare it with.")],
    root: Root = Path(),
    sample: Annotated[int, typer.Option("--sample", min=0, help="Examples of each kind of change.")] = 3,
    assignments: Assignments = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show which rows of each dataset entered, left or changed between two runs, and why."""
    with _errors_for_people(as_json, debug):
        from etl.diff import diff as diff_of
        from etl.warehouse import Warehouse

        settings, _ = _settings(assignments, None, False, False, None)
        project = _recovered(_project(root, None))
        with Warehouse.published(project.warehouse) as warehouse:
            found = diff_of(project, warehouse, from_run, to_run, sample, settings.history_runs)
        if as_json:
            _print_json(found.model_dump(mode="json"))
        else:
            from etl.console import show_diff

            show_diff(found)


@app.command()
def accept(as_json: AsJson = False, debug: Debug = False) -> None:
    """Try every promise of the product on a bundled fixture, in a scratch root; exit code 1 if one is not kept."""
    with _errors_for_people(as_json, debug):
        from etl.accept import accept as gates_of

        found = gates_of()
        if as_json:
            _print_json(found.model_dump(mode="json"))
        else:
            from etl.console import show_gates

            show_gates(found)
        raise typer.Exit(0 if found.passed else 1)


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
            _print_json([finding.model_dump() for finding in findings])
        else:
            from etl.console import show_checks

            show_checks("health", [(finding.what, finding.status, finding.detail) for finding in findings])
        raise typer.Exit(1 if any(finding.status == "failed" for finding in findings) else 0)


def _print_statements(run_id: str | None, project: "Project", key_file: Path | None) -> None:
    from etl.attest import stated_by
    from etl.markdown import harmless
    from etl.signing import read_private_key, sign

    key = read_private_key(key_file) if key_file else None
    settings, _ = _settings(None, None, False, False, None)
    with _history(project, settings) as history:
        stated = stated_by(project, history, run_id)
    for receipt in stated.left_out:
        typer.echo(
            harmless(f"etl: {receipt.stage} is left out: it is {receipt.status}, and has no output that stands."),
            err=True,
        )
    if not stated.statements:
        raise NotFoundError("No stage of this run has an output that stands, so there is nothing to state.")
    for line in [statement.to_line() for statement in stated.statements]:
        typer.echo(sign(line.encode(), key).to_line() if key else line)


def _envelope_checks(
    run_id: str | None, project: "Project", settings: "Settings", key_file: Path | None, envelopes: Path | None
) -> "list[Check]":
    from etl.attest import check_envelopes
    from etl.signing import read_public_key

    if key_file is None or envelopes is None:
        raise UsageError("--key PUBFILE and --envelopes FILE go together; name both.")
    if run_id is not None:
        raise UsageError("--envelopes: they say themselves which run they are about; name no run.")
    key = read_public_key(key_file)
    text = sys.stdin.buffer.read() if str(envelopes) == "-" else _bytes_of(envelopes)
    with _history(project, settings) as history:
        return check_envelopes(project, history, text, str(envelopes), key)


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{file}: it cannot be read ({error.strerror}).") from None


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
    force: bool,
    rehash: bool,
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
            force,
            rehash,
        )
        books = foresee(request) if dry_run else []
        outcome = None if dry_run else execute(request)
    if outcome is None:
        if as_json:
            _print_json([book.model_dump() for book in books])
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
