"""Holds the receipts of a run against what is on disk now."""

import hashlib
from pathlib import Path
from typing import Any

from etl.answers import Check
from etl.chain import check_chain, check_input, check_output, evidence_of, passed_or
from etl.documents import DriftReport, RunSummary, StageReceipt, StageSummary, aggregate_hash, run_hash
from etl.errors import EtlError
from etl.files import sha256_of
from etl.history import TABLES, newest, read_documents, require_run, store
from etl.markdown import summary_page
from etl.project import Project
from etl.warehouse import Warehouse
from etl.warehouse.published import PublishedWarehouse


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
            return Check(
                "warehouse", "failed", f"it knows another summary of run {run_id} than the file, or the file is gone"
            )
    return Check("warehouse", "ok", f"{len(rows)} runs are known by the same hashes")


def verify(project: Project, history: Warehouse, run_id: str | None, evidence: Path | None = None) -> list[Check]:
    """Return a check for each document of a run and each file that its receipts name; the published run unless one is named.

    ``evidence`` is where the run's evidence is now, if not where the run read it.
    Raises NotFoundError for an unknown run, or where nothing is published.
    """
    published = newest(history, published=True) if run_id is None else None
    wanted = require_run(history, published if run_id is None else run_id)
    folder = project.reports / wanted
    try:
        summary, receipts = read_documents(folder)
    except (OSError, ValueError) as error:
        return [Check(str(folder), "failed", f"a document is missing or damaged: {str(error).splitlines()[0]}")]
    is_published = summary.published and newest(history, published=True) == wanted
    checks = _documents(history, folder, summary, receipts)
    for receipt in receipts:
        for entry in receipt.outputs.files:
            if entry.bytes is not None:
                replaced = Check(entry.path, "unchecked", "a newer run has taken its place")
                checks.append(check_output(project.root / entry.path, entry) if is_published else replaced)
        if receipt.stage == "collect":
            place = evidence or evidence_of(project, summary)
            checks += [check_input(place / entry.path, entry) for entry in receipt.inputs.files]
    return checks


def _documents(history: Warehouse, folder: Path, summary: RunSummary, receipts: list[StageReceipt]) -> list[Check]:
    """Hold the documents against the tables receipts.*, against each other, and against what follows from them."""
    summary_sha256 = hashlib.sha256((folder / "summary.json").read_bytes()).hexdigest()
    known = {receipt.stage: _rows(history, summary.run_id, receipt.stage) for receipt in receipts}
    known_summary = history.one("select summary_sha256 from receipts.run where run_id = ?", [summary.run_id])
    store(history, summary, receipts, summary_sha256)
    broken = history.execute("select problem from receipts.imbalance where run_id = ?", [summary.run_id])
    checks = [
        passed_or("summary.json", summary_sha256 == known_summary, "it is not the summary that the warehouse knows"),
        passed_or("run_hash", run_hash(receipts) == summary.run_hash, "it does not follow from the receipts"),
        passed_or("books", not broken, " ".join(problem for (problem,) in broken)),
    ]
    for receipt, stage in zip(receipts, summary.stages, strict=True):
        stands = (
            aggregate_hash(receipt.inputs.files) == receipt.inputs.hash
            and aggregate_hash(receipt.outputs.files) == receipt.outputs.hash
            and StageSummary.of(receipt) == stage
            and receipt.run_id == summary.run_id
            and _rows(history, summary.run_id, receipt.stage) == known[receipt.stage]
        )
        otherwise = "it contradicts itself, the summary, or what the warehouse knows"
        checks.append(passed_or(f"{stage.name}.json", stands, otherwise))
    return [*checks, *_pages(folder, summary, receipts)]


def _pages(folder: Path, summary: RunSummary, receipts: list[StageReceipt]) -> list[Check]:
    """Hold drift.json against the page that quotes it, and the page against the documents it is made from."""
    try:
        drift = DriftReport.model_validate_json((folder / "drift.json").read_bytes())
        page = (folder / "summary.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        return [Check("drift.json", "failed", f"it or summary.md is missing or damaged: {str(error).splitlines()[0]}")]
    is_theirs = drift.run_id == summary.run_id and page == summary_page(summary, receipts, drift)
    return [passed_or("summary.md", is_theirs, "it or drift.json is not what the run wrote")]


def _rows(history: Warehouse, run_id: str, stage: str) -> list[list[tuple[Any, ...]]]:
    tables = [table for table in TABLES if table != "run"]
    key = [run_id, stage]
    return [
        history.execute(f"from receipts.{table} where run_id = ? and stage = ? order by all", key) for table in tables
    ]
