"""What a run's documents state in the standard form."""

from dataclasses import dataclass
from pathlib import Path

from etl.base.errors import UsageError
from etl.base.files import sha256_of
from etl.base.project import Project
from etl.receipts.attestation.statement import Statement, has_statement, statement_of
from etl.receipts.models import Named, RunSummary, StageReceipt
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
