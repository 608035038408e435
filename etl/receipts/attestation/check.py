"""What a run's documents state in the standard form, and whether signed statements are what they state now."""

from dataclasses import dataclass
from pathlib import Path

from etl.base.errors import UsageError
from etl.base.files import sha256_of
from etl.base.project import Project
from etl.receipts.attestation.signing import Envelope, PublicKey, SignatureError, opened
from etl.receipts.attestation.statement import Statement, has_statement, statement_of
from etl.receipts.models import Check, Named, RunSummary, StageReceipt
from etl.receipts.store import SUMMARY, require_documents, require_run, summary_hash
from etl.warehouse.connection import Warehouse


@dataclass(frozen=True, slots=True)
class Stated:
    """What a run's documents state, and the receipts of the stages about which there is nothing to state."""

    statements: list[Statement]
    left_out: list[StageReceipt]


def statements_of(project: Project, history: Warehouse, run_id: str | None) -> Stated:
    """Return the statements of a run, the newest unless one is named.

    Raises UsageError where its documents cannot be read, or are not those that it wrote: what was changed since must not
    be stated, let alone signed.
    """
    run_id = require_run(history, run_id)
    folder = project.reports / run_id
    summary, receipts = require_documents(folder)
    _require_untouched(project, history, folder, summary)
    return _stated(project, folder, summary, receipts)


def _stated(project: Project, folder: Path, summary: RunSummary, receipts: list[StageReceipt]) -> Stated:
    place = project.relative(folder)
    held = [Named(path=f"{place}/{SUMMARY}", sha256=sha256_of(folder / SUMMARY))]
    statements = []
    for receipt in filter(has_statement, receipts):
        name = f"{receipt.stage}.json"
        mine = Named(path=f"{place}/{name}", sha256=sha256_of(folder / name))
        statements.append(statement_of(summary, receipt, [mine, *held]))
    return Stated(statements, [receipt for receipt in receipts if not has_statement(receipt)])


def _require_untouched(project: Project, history: Warehouse, folder: Path, summary: RunSummary) -> None:
    """Hold the files against what the summary binds, and the summary against what is known of it. Raises UsageError."""
    known = summary_hash(project, history, summary.run_id)
    bound = {document.path: document.sha256 for document in summary.documents} | {SUMMARY: known}
    for name in (SUMMARY, *(f"{stage.name}.json" for stage in summary.stages)):
        if sha256_of(folder / name) != bound.get(name):
            raise UsageError(f"{folder / name}: it is not what the run wrote; etl verify {summary.run_id} tells more.")


def check_envelopes(project: Project, history: Warehouse, text: bytes, name: str, key: PublicKey) -> list[Check]:
    """Return a check for each line of ``text``: that it is signed with this key, and that its run states the same now.

    Raises UsageError where there is no line, for then nothing would be checked. ``name`` is what the text came from.
    """
    lines = [(number, line) for number, line in enumerate(text.split(b"\n"), start=1) if line.strip()]
    if not lines:
        raise UsageError(f"{name}: there is no envelope in it; etl receipts --format in-toto --sign KEY makes some.")
    stated = _Stated(project, history)
    return [_envelope(number, line, key, stated) for number, line in lines]


class _Stated:
    """The lines that runs state now, by stage; each run is read once."""

    def __init__(self, project: Project, history: Warehouse) -> None:
        self._project = project
        self._history = history
        self._known: dict[str, dict[str, bytes]] = {}

    def line(self, statement: Statement) -> bytes | None:
        """Return what the run of a statement states of the same stage. Raises UsageError where it states nothing."""
        run_id, stage = statement.predicate.etl_run_id, statement.predicate.etl_stage
        if run_id not in self._known:
            found = statements_of(self._project, self._history, run_id).statements
            self._known[run_id] = {mine.predicate.etl_stage: mine.to_line().encode() for mine in found}
        return self._known[run_id].get(stage)


def _envelope(number: int, line: bytes, key: PublicKey, stated: _Stated) -> Check:
    what = f"line {number}"
    try:
        envelope = Envelope.model_validate_json(line)
    except ValueError:
        return Check(what, "failed", "it is no DSSE envelope")
    try:
        payload = opened(envelope, key)
    except SignatureError as error:
        return Check(what, "failed", str(error))
    # only what is signed is read, and named
    try:
        statement = Statement.model_validate_json(payload)
    except ValueError:
        return Check(what, "failed", "it is signed, but no statement that this version of etl makes")
    what = f"{what}: {statement.predicate.run_details.metadata.invocation_id}"
    try:
        is_theirs = stated.line(statement) == payload
    except UsageError as error:
        return Check(what, "failed", str(error))
    if not is_theirs:
        return Check(what, "failed", "it is signed, but the run's documents state something else now")
    return Check(what, "ok", "signed, and the run's documents state the same")
