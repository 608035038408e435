"""Holds the receipts of a run against what is on disk now."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from etl.documents import (
    DriftReport,
    FileEntry,
    RunSummary,
    StageReceipt,
    StageSummary,
    aggregate_hash,
    run_hash,
)
from etl.files import sha256_of
from etl.history import TABLES, newest, read_documents, require_run, store
from etl.markdown import summary_page
from etl.project import Project
from etl.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``unchecked`` is no failure: it is gone or grew since, or was replaced by a newer run."""

    what: str
    status: Literal["ok", "failed", "unchecked"]
    detail: str

    def to_dict(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)


def verify(project: Project, history: Warehouse, run_id: str | None) -> list[Check]:
    """Return a check for each document of a run and each file that its receipts name; the published run unless one is named.

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
                checks.append(_output(project.root / entry.path, entry, is_published))
        if receipt.stage == "collect":
            checks += [_input(project.evidence / entry.path, entry) for entry in receipt.inputs.files]
    return checks


def _documents(history: Warehouse, folder: Path, summary: RunSummary, receipts: list[StageReceipt]) -> list[Check]:
    """Hold the documents against the tables receipts.*, against each other, and against what follows from them."""
    summary_sha256 = hashlib.sha256((folder / "summary.json").read_bytes()).hexdigest()
    known = {receipt.stage: _rows(history, summary.run_id, receipt.stage) for receipt in receipts}
    known_summary = history.one("select summary_sha256 from receipts.run where run_id = ?", [summary.run_id])
    store(history, summary, receipts, summary_sha256)
    broken = history.execute("select problem from receipts.imbalance where run_id = ?", [summary.run_id])
    checks = [
        _check("summary.json", summary_sha256 == known_summary, "it is not the summary that the warehouse knows"),
        _check("run_hash", run_hash(receipts) == summary.run_hash, "it does not follow from the receipts"),
        _check("books", not broken, " ".join(problem for (problem,) in broken)),
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
        checks.append(_check(f"{stage.name}.json", stands, otherwise))
    return [*checks, *_pages(folder, summary, receipts)]


def _pages(folder: Path, summary: RunSummary, receipts: list[StageReceipt]) -> list[Check]:
    """Hold drift.json against the page that quotes it, and the page against the documents it is made from."""
    try:
        drift = DriftReport.model_validate_json((folder / "drift.json").read_bytes())
        page = (folder / "summary.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        return [Check("drift.json", "failed", f"it or summary.md is missing or damaged: {str(error).splitlines()[0]}")]
    is_theirs = drift.run_id == summary.run_id and page == summary_page(summary, receipts, drift)
    return [_check("summary.md", is_theirs, "it or drift.json is not what the run wrote")]


def _rows(history: Warehouse, run_id: str, stage: str) -> list[list[tuple[Any, ...]]]:
    tables = [table for table in TABLES if table != "run"]
    key = [run_id, stage]
    return [
        history.execute(f"from receipts.{table} where run_id = ? and stage = ? order by all", key) for table in tables
    ]


def _output(file: Path, entry: FileEntry, is_published: bool) -> Check:
    if not is_published:
        return Check(entry.path, "unchecked", "a newer run has taken its place")
    if not file.is_file():
        return Check(entry.path, "failed", "the file is gone")
    return _check(entry.path, sha256_of(file) == entry.sha256, "its bytes are not those of the receipt")


def _input(file: Path, entry: FileEntry) -> Check:
    if entry.sha256 is None or entry.bytes is None:
        return Check(entry.path, "unchecked", "it could not be read then")
    if not file.is_file():
        return Check(entry.path, "unchecked", "the file is gone")
    if file.stat().st_size > entry.bytes:
        return Check(entry.path, "unchecked", "the file has grown")
    return _check(entry.path, sha256_of(file) == entry.sha256, "its bytes are not those that were collected")


def _check(what: str, is_good: bool, otherwise: str) -> Check:
    return Check(what, "ok", "as recorded") if is_good else Check(what, "failed", otherwise)
