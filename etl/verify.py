"""Holds the receipts of a run against what is on disk now."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from etl.documents import FileEntry, RunSummary, StageReceipt, aggregate_hash, run_hash
from etl.files import sha256_of
from etl.history import newest, read_documents, require_run
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
    wanted = require_run(history, run_id or published)
    folder = project.reports / wanted
    try:
        summary, receipts = read_documents(folder)
    except (OSError, ValidationError) as error:
        return [Check(str(folder), "failed", f"a document is missing or damaged: {str(error).splitlines()[0]}")]
    checks = _documents(history, folder, summary, receipts)
    is_published = summary.published and newest(history, published=True) == wanted
    for receipt in receipts:
        for entry in receipt.outputs.files:
            if entry.bytes is not None:
                checks.append(_output(project.root / entry.path, entry, is_published))
        if receipt.stage == "collect":
            checks += [_input(project.evidence / entry.path, entry) for entry in receipt.inputs.files]
    return checks


def _documents(history: Warehouse, folder: Path, summary: RunSummary, receipts: list[StageReceipt]) -> list[Check]:
    checks = []
    known = history.execute("select summary_sha256 from receipts.run where run_id = ?", [summary.run_id])[0][0]
    is_same = hashlib.sha256((folder / "summary.json").read_bytes()).hexdigest() == known
    checks.append(_check("summary.json", is_same, "it is not the summary that the warehouse knows"))
    checks.append(_check("run_hash", run_hash(receipts) == summary.run_hash, "it does not follow from the receipts"))
    for receipt, stage in zip(receipts, summary.stages, strict=True):
        stands = (
            aggregate_hash(receipt.inputs.files) == receipt.inputs.hash == stage.inputs_hash
            and aggregate_hash(receipt.outputs.files) == receipt.outputs.hash == stage.outputs_hash
            and receipt.stats == stage.stats
            and receipt.run_id == summary.run_id
            and receipt.stage == stage.name
        )
        checks.append(
            _check(f"{receipt.stage}.json", stands, "its hashes or counts contradict each other or the summary")
        )
    return checks


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
