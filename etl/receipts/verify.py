"""Compares the receipts of a run with what is on disk now."""

from contextlib import suppress
from pathlib import Path

from etl.base.errors import EtlError, StageError
from etl.base.files import sha256_of
from etl.base.project import Project
from etl.receipts.chain import check_chain, check_input, check_output, evidence_of, passed_or
from etl.receipts.models import Check, DriftReport, FileEntry, RunSummary, StageReceipt, StageSummary, aggregate_hash, run_hash
from etl.receipts.report import summary_page
from etl.receipts.store import SUMMARY, forget, newest, read_documents, require_run, summary_hash, take_in, texts_of
from etl.warehouse.connection import Warehouse
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql


def verify_all(project: Project, pinned: str | None = None, evidence: Path | None = None) -> list[Check]:
    """Return the checks of the whole chain, and whether the warehouse knows a run that the chain lacks."""
    return [*check_chain(project, pinned, evidence), _known_runs(project)]


def _known_runs(project: Project) -> Check:
    try:
        with PublishedWarehouse.open(project.warehouse) as warehouse:
            rows = warehouse.execute("select run_id, summary_sha256 from receipts.run order by seq")
    except EtlError as error:
        return Check("warehouse", "unchecked", f"its receipts cannot be read: {error}")
    for run_id, digest in rows:
        file = project.reports / run_id / "summary.json"
        if not file.is_file() or sha256_of(file) != digest:
            return Check("warehouse", "failed", f"its summary of run {run_id} is not that of the file, or the file is gone")
    return Check("warehouse", "ok", f"{len(rows)} runs are known by the same hashes")


def verify(project: Project, sql: Sql, history: Warehouse, run_id: str | None, evidence: Path | None = None) -> list[Check]:
    """Return a check for each document of a run and each file that its receipts name; the published run unless one is named.

    ``evidence`` is where the run's evidence is now, if not where the run read it.
    Raises NotFoundError for an unknown run, or where nothing is published.
    """
    wanted = _wanted_run(project, history, run_id)
    folder = project.reports / wanted
    try:
        summary, receipts = read_documents(folder)
    except (OSError, ValueError) as error:
        return [Check(str(folder), "failed", f"a document is missing or damaged: {str(error).splitlines()[0]}")]
    is_published = summary.published and newest(history, published=True) == wanted
    place = evidence or evidence_of(project, summary)
    checks = _documents(project, sql, history, summary, receipts)
    for receipt in receipts:
        checks += [_output(project, entry, is_published) for entry in receipt.outputs.files if entry.bytes is not None]
        inputs = receipt.inputs.files if receipt.stage == "collect" else []
        checks += [check_input(place / entry.path, entry) for entry in inputs]
    return checks


def _wanted_run(project: Project, history: Warehouse, run_id: str | None) -> str:
    """Return the run that was asked for, or the published one; a run whose documents are damaged counts, where it is there."""
    if run_id is None:
        return newest(history, published=True)
    return run_id if run_id in {folder.name for folder in project.reports.glob("*/")} else require_run(history, run_id)


def _output(project: Project, entry: FileEntry, is_published: bool) -> Check:
    if is_published:
        return check_output(project.root / entry.path, entry)
    return Check(entry.path, "unchecked", "a newer run has taken its place")


def _documents(
    project: Project, sql: Sql, history: Warehouse, summary: RunSummary, receipts: list[StageReceipt]
) -> list[Check]:
    """Compare the documents with what the next run, the head and the warehouse know of them, and with each other."""
    folder = project.reports / summary.run_id
    written = sha256_of(folder / SUMMARY)
    known = {summary_hash(project, history, summary.run_id), _known_to_warehouse(project, summary.run_id) or written}
    forget(history, sql, summary.run_id)
    try:
        take_in(history, sql.kept, texts_of(folder))
    except StageError as error:
        return [Check(str(folder), "failed", f"a document is damaged: {error}")]
    broken = history.execute("select problem from receipts.unbalanced where run_id = ?", [summary.run_id])
    checks = [
        passed_or(SUMMARY, known == {written}, "it is not the summary that the run wrote"),
        passed_or("run_hash", run_hash(receipts) == summary.run_hash, "it does not follow from the receipts"),
        passed_or("books", not broken, " ".join(problem for (problem,) in broken)),
    ]
    bound = {document.path: document.sha256 for document in summary.documents}
    for receipt, stage in zip(receipts, summary.stages, strict=True):
        name = f"{stage.name}.json"
        stands = (
            sha256_of(folder / name) == bound.get(name)
            and aggregate_hash(receipt.inputs.files) == receipt.inputs.hash
            and aggregate_hash(receipt.outputs.files) == receipt.outputs.hash
            and StageSummary.of(receipt) == stage
            and receipt.run_id == summary.run_id
        )
        checks.append(passed_or(name, stands, "it contradicts itself or the summary"))
    return [*checks, *_pages(folder, summary, receipts)]


def _known_to_warehouse(project: Project, run_id: str) -> str | None:
    """Return the hash of a run's summary that the published warehouse knows, if it knows the run."""
    with suppress(EtlError), PublishedWarehouse.open(project.warehouse) as warehouse:
        rows = warehouse.execute("select summary_sha256 from receipts.run where run_id = ?", [run_id])
        return str(rows[0][0]) if rows else None
    return None


def _pages(folder: Path, summary: RunSummary, receipts: list[StageReceipt]) -> list[Check]:
    """Hold drift.json against the page that quotes it, and the page against the documents it is made from."""
    try:
        drift = DriftReport.model_validate_json((folder / "drift.json").read_bytes())
        page = (folder / "summary.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        return [Check("drift.json", "failed", f"it or summary.md is missing or damaged: {str(error).splitlines()[0]}")]
    is_theirs = drift.run_id == summary.run_id and page == summary_page(summary, receipts, drift)
    return [passed_or("summary.md", is_theirs, "it or drift.json is not what the run wrote")]
