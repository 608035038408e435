"""Whether signed statements are what their runs' documents state now."""

from etl.base.errors import UsageError
from etl.base.project import Project
from etl.receipts.attestation.run_statements import statements_of
from etl.receipts.attestation.signing import Envelope, PublicKey, SignatureError, open_envelope
from etl.receipts.attestation.statement import Statement
from etl.receipts.models import Check
from etl.warehouse.connection import Warehouse


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
        return Check(what, "failed", "it is not a DSSE envelope")
    try:
        payload = open_envelope(envelope, key)
    except SignatureError as error:
        return Check(what, "failed", str(error))
    # only what is signed is read, and named
    try:
        statement = Statement.model_validate_json(payload)
    except ValueError:
        return Check(what, "failed", "it is signed, but not a statement that this version of etl makes")
    what = f"{what}: {statement.predicate.run_details.metadata.invocation_id}"
    try:
        is_theirs = stated.line(statement) == payload
    except UsageError as error:
        return Check(what, "failed", str(error))
    if not is_theirs:
        return Check(what, "failed", "it is signed, but the run's documents state something else now")
    return Check(what, "ok", "signed, and the run's documents state the same")
