"""The commands, a few lines each: what one needs beside its options and tables is imported when it runs."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from typer import Argument, Context, Option, echo

from etl.base.errors import NotFoundError, UsageError
from etl.base.terminal import is_text, short
from etl.cli.options import (
    Evidence,
    Inputs,
    Root,
    RunId,
    Running,
    Sets,
    Threshold,
    configure,
    look_at,
    open_history,
    project_at,
    with_evidence,
)
from etl.console.parts import print_exactly, say, show_table, warn
from etl.console.peek import show_peek
from etl.console.show import (
    progress_bars,
    show_counts,
    show_diff,
    show_drift,
    show_explanation,
    show_health,
    show_history,
    show_outcome,
    show_receipts,
    show_release,
)

if TYPE_CHECKING:
    from etl.receipts.models import Check


class Answer(NamedTuple):
    """A document for --json, how it is shown to people otherwise, and the exit code, or the error that stopped a run."""

    document: Any
    show: Callable[[], None]
    exit_code: int = 0
    error: BaseException | None = None


def checked(title: str, checks: "Sequence[Check]") -> Answer:
    """Return the answer of a command that checks things: exit code 1 if a check failed."""
    rows = [(short(check.what), check.status, check.detail) for check in checks]
    show = partial(show_table, title, ("what", "status", "detail"), rows)
    return Answer(checks, show, int(any(check.status == "failed" for check in checks)))


def run_all(options: Running) -> Answer:
    """Run every stage whose inputs changed, then publish: collect, score, export-rag, export-sft, export-preference."""
    return run([], options)


def run(
    stages: Annotated[list[str], Argument(metavar="STAGE…", help="Stages; export-all means the three exports.")],
    options: Running,
) -> Answer:
    """Run those of the named stages whose inputs changed, reuse the other stages, then publish."""
    from etl.pipeline.plan import dry_run
    from etl.pipeline.run import execute

    with progress_bars() as progress:
        request = options.request_for(stages, progress)
        if options.dry_run:
            counts = dry_run(request)
            return Answer(counts, partial(show_counts, counts, request.project))
        outcome = execute(request)
    exit_code = 3 if outcome.report.drift.severity == "alert" else 0
    show = partial(show_outcome, outcome, request.project)
    return Answer(outcome.summary, show, exit_code if outcome.summary.overall_passed else 1, outcome.error)


def plan(
    inputs: Inputs, check: Annotated[bool, Option("--check", help="End with exit code 1 if a stage must run.")] = False
) -> Answer:
    """Show which stages a run would run, which it would reuse, and why."""
    from etl.pipeline.plan import plan as plan_of

    found = plan_of(inputs.request(look_at(inputs.root)))
    rows = [(step.stage, step.action, step.reason) for step in found.steps]
    exit_code = 1 if check and found.stale else 0
    return Answer(found, partial(show_table, "plan", ("stage", "action", "why"), rows), exit_code)


def export(
    trainer: Annotated[
        str | None, Option("--for", metavar="TRAINER", help="trl, trl-parquet, openai, llamafactory, verl, mlx or hf.")
    ] = None,
    reserved: Annotated[
        Path | None, Option(metavar="DIR", help="Instead, write the tasks that are held out, for evaluation alone.")
    ] = None,
    dataset: Annotated[list[str] | None, Option(help="A dataset of the trainer's; may be given several times.")] = None,
    out: Annotated[Path | None, Option(metavar="DIR", help="The folder of files (default: ROOT/releases/TRAINER).")] = None,
    max_chars: Annotated[
        int | None, Option(min=1, max=1 << 62, help="The most characters of a prompt and its answer; of grpo, rl: of a prompt.")
    ] = None,
    where: Annotated[str | None, Option(metavar="CONDITION", help="SQL over the columns of datasets.sft and so on.")] = None,
    root: Root = Path(),
    sets: Sets = None,
) -> Answer:
    """Write the published datasets as files that a trainer takes, after their rows are judged again."""
    from etl.context import Clock
    from etl.export.formats import FORMATS, RESERVED
    from etl.export.release import Choice
    from etl.pipeline.release.make import release

    if (trainer is None) == (reserved is None) or (reserved and out):
        raise UsageError("Give --for TRAINER or --reserved DIR, not both; --out goes with --for.")
    if trainer is not None and trainer not in FORMATS:
        raise UsageError(f"--for {trainer}: give one of {', '.join(FORMATS)}.")
    for option, value in (("--where", where), ("--out", out), ("--reserved", reserved)):
        if not is_text(str(value)):
            raise UsageError(f"{option}: this is not UTF-8; give it as UTF-8.")
    project = look_at(root)
    folder = (reserved or out or project.root / "releases" / str(trainer)).absolute()
    settings = configure(project, sets).settings
    choice = Choice(tuple(dataset or ()), where, max_chars)
    receipt = release(project, settings, trainer or RESERVED, choice, folder, Clock())
    return Answer(receipt, partial(show_release, receipt, folder))


def recover(root: Root = Path()) -> Answer:
    """Finish what a killed run or export left: publish the rest, or write its receipts. The next run does the same."""
    from etl.pipeline.recover import recover as finish

    done = finish(project_at(root))
    return Answer({"done": done}, partial(say, done))


def drift(
    run_id: RunId = None,
    root: Root = Path(),
    threshold: Threshold = None,
    sets: Sets = None,
    fail_on: Annotated[str, Option(help="The least severity with exit code 3: warn or alert.")] = "alert",
    against: Annotated[str | None, Option(metavar="RUN", help="Compare with this earlier run.")] = None,
    pin: Annotated[str | None, Option(metavar="RUN", help="Pin this run: later runs are compared with it.")] = None,
    unpin: Annotated[bool, Option("--unpin", help="Compare each run with the one before it again.")] = False,
    explain: Annotated[bool, Option("--explain", help="List every comparison, and why it is flagged or not.")] = False,
    history: Annotated[bool, Option("--history", help="Show how each figure changed over all runs.")] = False,
) -> Answer:
    """Compare a run with the published run before it, or with the pinned run. The exit code is 3 on an alert."""
    from etl.receipts.drift import compare_against, comparisons_of, counter_history, drift_of
    from etl.receipts.drift import pin as pin_run
    from etl.receipts.store import require_pin, require_run

    _require_one_task(run_id, {"--pin": pin, "--unpin": unpin, "--history": history, "--against": against})
    if fail_on not in {"alert", "warn"}:
        raise UsageError(f"--fail-on {fail_on}: give alert or warn.")
    with open_history(root, sets, threshold) as (project, runs):
        if pin or unpin:
            said = pin_run(project, runs, pin)
            return Answer({"pinned": pin}, partial(say, said))
        if history:
            rows = counter_history(runs)
            return Answer(rows, partial(show_history, rows))
        run_id = require_run(runs, run_id)
        if against is None:
            require_pin(project, runs)
        else:
            compare_against(runs, run_id, against)
        report, comparisons = drift_of(runs, run_id), comparisons_of(runs, run_id) if explain else []
    document = dict(report) | ({"comparisons": comparisons} if explain else {})
    return Answer(document, partial(show_drift, report, comparisons), 3 if report.severity in {"alert", fail_on} else 0)


def _require_one_task(run_id: str | None, tasks: dict[str, object]) -> None:
    """Require that at most one of these flags is given, and no run with those that are about all runs. Raises UsageError."""
    given = [flag for flag, value in tasks.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} ask for different things; give one of them.")
    if run_id and given and not tasks["--against"]:
        raise UsageError(f"{given[0]} is about all runs; leave out the run {run_id}.")


def receipts(
    context: Context,
    run_id: RunId = None,
    root: Root = Path(),
    form: Annotated[str, Option("--format", help="table, or in-toto: a line of JSON for each stage.")] = "table",
    key: Annotated[Path | None, Option("--sign", metavar="KEYFILE", help="Sign each line of in-toto.")] = None,
) -> Answer:
    """Show the receipts of a run, or print them as in-toto statements (v1, with SLSA v1 provenance), signed if asked for."""
    from etl.receipts.store import require_documents, require_run

    if form not in {"table", "in-toto"}:
        raise UsageError(f"--format {form}: give table or in-toto.")
    if form == "in-toto":
        if context.params["as_json"]:
            raise UsageError("--json prints one document, --format in-toto a line for each stage; give one of them.")
        return _statements(run_id, root, key)
    if key is not None:
        raise UsageError("--sign: only the lines of --format in-toto can be signed; add it.")
    with open_history(root) as (project, history):
        summary, documents = require_documents(project.reports / require_run(history, run_id))
    return Answer({"summary": summary, "receipts": documents}, partial(show_receipts, summary, documents))


def _statements(run_id: str | None, root: Path, key_file: Path | None) -> Answer:
    """Return the in-toto statements of a run, a line each, signed if a key is given. Raises UsageError."""
    from etl.receipts.attestation.statement import statements_of

    with open_history(root) as (project, history):
        stated = statements_of(project, history, run_id)
    for receipt in stated.left_out:
        warn(f"{receipt.stage} is left out: its status is {receipt.status}, so it has no valid output.")
    if not stated.statements:
        raise NotFoundError("No stage of this run has a valid output, so there is nothing to state.")
    lines = [statement.to_line() for statement in stated.statements]
    if key_file is not None:
        from etl.receipts.attestation.signing import read_private_key, sign

        key = read_private_key(key_file)
        lines = [sign(line.encode(), key).to_line() for line in lines]
    return Answer(None, partial(echo, "\n".join(lines)))


def keygen(
    file: Annotated[Path, Argument(metavar="NAME", help="The file of the private key; NAME.pub has the public key.")],
    is_p256: Annotated[bool, Option("--p256", help="Make ECDSA P-256 keys.")] = False,
) -> Answer:
    """Make a pair of ed25519 or P-256 keys to sign receipts with. No file is overwritten."""
    from etl.receipts.attestation.signing import make_keys

    pair = make_keys(file, is_p256)
    said = f"private {pair.private} (keep it secret)\npublic  {pair.public} (give it to others)\nkeyid   {pair.keyid}"
    return Answer(pair, partial(echo, said))


def verify(
    run_id: RunId = None,
    root: Root = Path(),
    evidence: Evidence = None,
    everything: Annotated[bool, Option("--all", help="Check the chain of all runs, and every file.")] = False,
    head: Annotated[str | None, Option(metavar="HASH", help="Check all runs; this head must be in the chain.")] = None,
    key: Annotated[Path | None, Option(metavar="PUBFILE", help="The public key to check --envelopes with.")] = None,
    envelopes: Annotated[Path | None, Option(metavar="FILE", help="Check these signed lines; - is stdin.")] = None,
) -> Answer:
    """Check every file that a run's receipts name, or all runs, or signed receipts. The exit code is 1 if one is wrong."""
    from etl.pipeline.stages import STAGES
    from etl.receipts import verify as proof
    from etl.warehouse.sql_files import Sql

    of_all = everything or head is not None
    if of_all and (run_id or key or envelopes):
        raise UsageError("verify: --all and --head check every run; leave out the run, --key and --envelopes.")
    if of_all:
        checks = proof.verify_all(look_at(root), STAGES, head, evidence)
    elif key is not None or envelopes is not None:
        return _check_envelopes(run_id, root, key, envelopes)
    else:
        with open_history(root) as (project, history):
            checks = proof.verify(project, Sql.of(project.overlay), STAGES, history, run_id, evidence)
    return checked("verify", checks)


def _check_envelopes(run_id: str | None, root: Path, key_file: Path | None, envelopes: Path | None) -> Answer:
    """Check signed lines with a public key. Raises UsageError."""
    from etl.receipts.attestation.signing import check_envelopes, read_public_key

    if key_file is None or envelopes is None:
        raise UsageError("--key PUBFILE and --envelopes FILE go together; give both.")
    if run_id is not None:
        raise UsageError("--envelopes: signed lines say which run they are about; leave out the run.")
    key = read_public_key(key_file)
    try:
        lines = sys.stdin.buffer.read() if str(envelopes) == "-" else envelopes.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{envelopes}: the file cannot be read ({error.strerror}).") from None
    with open_history(root) as (project, history):
        return checked("verify", check_envelopes(project, history, lines, str(envelopes), key))


def replay(run_id: RunId = None, root: Root = Path(), evidence: Evidence = None) -> Answer:
    """Repeat an earlier run in a scratch folder, and compare every byte. The exit code is 1 if one differs."""
    from etl.pipeline.replay import replay as replay_of
    from etl.receipts.store import require_run

    with open_history(root) as (project, history):
        run_id = require_run(history, run_id)
    with progress_bars() as progress:
        found = replay_of(project, run_id, evidence, progress)
    rows = [(output.path, output.is_equal, output.difference) for output in found.outputs]
    is_same = found.same_code and found.same_engine
    note = "" if is_same else "The code or the engine is not that of the run, so a difference proves nothing."
    show = partial(show_table, f"replay of {run_id}", ("output", "equal", "difference"), rows, note)
    return Answer(found, show, 0 if found.is_equal else 1)


def diff(
    from_run: Annotated[str, Argument(metavar="RUN_A", help="The id of a published run.")],
    to_run: Annotated[str, Argument(metavar="RUN_B", help="The id of the run to compare it with.")],
    root: Root = Path(),
    sample: Annotated[int, Option(min=0, help="How many examples of each kind of change are shown.")] = 3,
    sets: Sets = None,
) -> Answer:
    """Show which rows of each dataset entered, left or changed between two runs, and why."""
    from etl.inspect.diff import diff as diff_of

    project = look_at(root)
    found = diff_of(project, from_run, to_run, sample, configure(project, sets).settings.history_runs)
    return Answer(found, partial(show_diff, found))


def accept() -> Answer:
    """Try every promise of the product on a bundled fixture, in a scratch folder. The exit code is 1 if one is broken."""
    from etl.pipeline.selftest import accept as gates_of

    found = gates_of()
    rows = [(gate.name, gate.passed, gate.detail) for gate in found.gates]
    return Answer(found, partial(show_table, "acceptance", ("gate", "passed", "seen"), rows), 0 if found.passed else 1)


def peek(
    source: Annotated[str, Argument(metavar="SOURCE", help="A source: the first part of a path in the evidence folder.")],
    items: Annotated[int, Option("-n", min=1, help="How many items are shown.")] = 5,
    at: Annotated[str | None, Option(metavar="PATH:ITEM", help="Show this item, with the record that it belongs to.")] = None,
    root: Root = Path(),
    evidence: Evidence = None,
    sets: Sets = None,
) -> Answer:
    """Show what a run would make of a source's first items, without a run. The exit code is 1 if its mapping does not work."""
    from etl.inspect.peek import peek as peek_of

    project = look_at(root)
    configuration = configure(project, sets, evidence=evidence)
    configuration.require_evidence()
    found = peek_of(with_evidence(project, configuration), configuration.settings, source, items, at, warn)
    return Answer(found, partial(show_peek, found), 1 if found.failure else 0)


def explain(
    wanted: Annotated[str, Argument(metavar="ID", help="An id or its unique beginning, a run_id, a task_id, or path:item.")],
    root: Root = Path(),
    evidence: Evidence = None,
) -> Answer:
    """Show the records of an id, an attempt, a task or a place: rule, category, what each dataset decides; of one, its text."""
    from etl.inspect.explain import explain as explanation_of

    project = look_at(root)
    if evidence and not evidence.is_dir():
        raise NotFoundError(f"{evidence}: there is no such evidence folder; give another with --evidence.")
    configuration = configure(project, evidence=evidence)
    found = explanation_of(with_evidence(project, configuration), configuration.settings, wanted)
    return Answer(found, partial(show_explanation, found))


def sql(
    context: Context,
    query: Annotated[str, Argument(metavar="QUERY", help="SQL that only reads.")],
    root: Root = Path(),
    form: Annotated[str, Option("--format", help="table; csv or jsonl: row by row, for other programs.")] = "table",
) -> Answer:
    """Query the published warehouse. A query can only read, and only the warehouse."""
    from etl.inspect.sql import FORMATS, as_json_holds, stream
    from etl.inspect.sql import query as rows_of

    if form not in {"table", *FORMATS}:
        raise UsageError(f"--format {form}: give table, {' or '.join(FORMATS)}.")
    if form != "table":
        if context.params["as_json"]:
            raise UsageError(f"--json prints one document, --format {form} row by row; give one of them.")
        return Answer(None, partial(stream, look_at(root), query, form, print_exactly))
    names, rows = rows_of(look_at(root), query)
    document = [dict(zip(names, map(as_json_holds, row), strict=True)) for row in rows]
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    return Answer(document, partial(show_table, "", names, cells, f"{len(rows):,} rows"))


def health(root: Root = Path(), evidence: Evidence = None) -> Answer:
    """Check whether this root is fit for a run, and say what to do if it is not; show which settings are not the defaults."""
    from etl.inspect.health import examine, settings_in_force

    project = look_at(root)
    configuration = configure(project, evidence=evidence)
    for sentence in configuration.warnings():
        warn(sentence)
    project = with_evidence(project, configuration)
    answer = checked("health", examine(project, configuration.settings))
    settings = settings_in_force(project, configuration)
    return answer._replace(document=[*answer.document, *settings], show=partial(show_health, answer.show, settings))


#: In the order in which the help lists them.
COMMANDS = (
    run_all,
    run,
    plan,
    export,
    recover,
    drift,
    receipts,
    keygen,
    verify,
    replay,
    diff,
    accept,
    peek,
    explain,
    sql,
    health,
)
