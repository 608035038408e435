"""Runs an earlier run again, in a scratch root, from what its receipts name, and compares every byte."""

import json
import shutil
from collections.abc import Iterator
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pyarrow.parquet as pq
from pydantic import ValidationError

from etl.base.errors import SettingError, UsageError
from etl.base.files import sha256_of
from etl.base.known_paths import Manifest, read_known_paths
from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import Progress, show_nothing
from etl.ingest.reader import CHUNK
from etl.pipeline.run import Outcome, Request, execute
from etl.receipts.models import Document, FileEntry, RunSummary, StageReceipt
from etl.receipts.partial_run import code_hash
from etl.receipts.store import require_documents
from etl.warehouse.sql_files import Sql

#: Rows of two Parquet files that are held in memory at a time.
ROWS = 10_000


class Comparison(Document):
    """One output of a run beside the same output of its replay; ``difference`` says where they differ first."""

    path: str
    is_equal: bool
    difference: str | None


class Replay(Document):
    """What came of running a run again. With other code or another engine, a difference proves nothing."""

    schema_version: Literal[1] = 1
    run_id: str
    same_code: bool
    same_engine: bool
    outputs: list[Comparison]

    @property
    def is_equal(self) -> bool:
        """Whether every output came out the same."""
        return all(output.is_equal for output in self.outputs)


def replay(project: Project, run_id: str, evidence: Path | None = None, progress: Progress = show_nothing) -> Replay:
    """Run again what ``run_id`` ran and compare each output with its receipt.

    ``evidence`` is where its inputs are now, if not where they were. A file of evidence that has only grown is read as far
    as it was then. Raises UsageError where the run cannot be repeated: it did not publish, or an input, the manifest of
    known paths or a setting is not what it was.
    """
    summary, receipts = _documents(project, run_id)
    with TemporaryDirectory(prefix="etl-replay-") as folder:
        scratch = Project.at(Path(folder) / "root", Path(folder) / "evidence")
        scratch.root.mkdir()
        scratch.evidence.mkdir()
        if project.overlay.is_dir():
            shutil.copytree(project.overlay, scratch.overlay)
        collected = next(receipt for receipt in receipts if receipt.stage == "collect")
        recorded = evidence or project.root / summary.request.evidence
        for entry in collected.inputs.files:
            _copy_input(recorded, entry, scratch.evidence, run_id)
        outcome = execute(
            Request(scratch, _settings(summary), _manifest(project, summary), progress=progress, force=True)
        )
        if outcome.error is not None:
            raise outcome.error
        return Replay(
            run_id=run_id,
            same_code=collected.code_hash == code_hash(Sql.of(project.overlay)),
            same_engine=collected.engine == outcome.report.receipts[0].engine,
            outputs=list(_comparisons(project, scratch, receipts, outcome)),
        )


def _documents(project: Project, run_id: str) -> tuple[RunSummary, list[StageReceipt]]:
    summary, receipts = require_documents(project.reports / run_id)
    if not summary.published:
        raise UsageError(f"Run {run_id} published nothing that could be compared; replay one that did.")
    return summary, receipts


def _copy_input(evidence: Path, entry: FileEntry, target: Path, run_id: str) -> None:
    """Copy as much of a file as the run read, and require that it is what the run read."""
    if entry.sha256 is None or entry.bytes is None:
        raise UsageError(f"{entry.path} could not be read by run {run_id}, so that run cannot be repeated.")
    if PurePosixPath(entry.path).is_absolute() or ".." in PurePosixPath(entry.path).parts:
        raise UsageError(
            f"{entry.path}: this input of run {run_id} leads out of the evidence folder; check etl verify --all."
        )
    copy = target / entry.path
    copy.parent.mkdir(parents=True, exist_ok=True)
    digest, left = sha256(), entry.bytes
    try:
        with (evidence / entry.path).open("rb") as source, copy.open("wb") as sink:
            while left and (chunk := source.read(min(CHUNK, left))):
                digest.update(chunk)
                sink.write(chunk)
                left -= len(chunk)
    except OSError as error:
        raise UsageError(
            f"{evidence / entry.path}: run {run_id} read this file, and it cannot be read now ({error.strerror}); "
            "put it back, or name another folder with --evidence."
        ) from None
    if left or digest.hexdigest() != entry.sha256:
        raise UsageError(
            f"{evidence / entry.path}: its bytes are not those that run {run_id} read; put them back, or name another folder "
            "with --evidence."
        )


def _settings(summary: RunSummary) -> Settings:
    try:
        return Settings.model_validate(summary.request.settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingError(
            f"Run {summary.run_id} had the setting {first['loc'][0]}, which this version does not take "
            f"({first['msg'].lower()}); replay it with the version that made it."
        ) from None


def _manifest(project: Project, summary: RunSummary) -> Manifest | None:
    if summary.request.known_paths is None:
        return None
    manifest = read_known_paths(project.root / summary.request.known_paths)
    if manifest.sha256() != summary.request.settings["known_paths_sha256"]:
        raise UsageError(f"{manifest.file}: it does not name the paths that run {summary.run_id} knew; put it back.")
    return manifest


def _comparisons(
    project: Project, scratch: Project, receipts: list[StageReceipt], outcome: Outcome
) -> Iterator[Comparison]:
    again = {entry.path: entry for receipt in outcome.report.receipts for entry in receipt.outputs.files}
    for receipt in receipts:
        for entry in receipt.outputs.files:
            if again[entry.path].sha256 == entry.sha256:
                yield Comparison(path=entry.path, is_equal=True, difference=None)
            else:
                yield Comparison(path=entry.path, is_equal=False, difference=_difference(project, scratch, entry))


def _difference(project: Project, scratch: Project, entry: FileEntry) -> str:
    """Say where two versions of an output differ first, as far as the old one can still be read."""
    if entry.bytes is None:
        return "the relation has other rows"
    old, new = project.root / entry.path, scratch.root / entry.path
    if not old.is_file() or sha256_of(old) != entry.sha256:
        return "its bytes differ; the file of that run was replaced since, so its rows cannot be compared"
    pairs = zip_longest(_rows(old), _rows(new))
    for number, (before, now) in enumerate(pairs, start=1):
        if before != now:
            return f"row {number} differs first: it was {_id(before)} and is {_id(now)}{_columns(before, now)}"
    return "its rows are equal; the bytes that hold them are not"


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(ROWS):
                yield from batch.to_pylist()
    else:
        with file.open("rb") as lines:
            for line in lines:
                yield json.loads(line)


def _id(row: dict[str, Any] | None) -> str:
    return str(row["id"]) if row else "absent"


def _columns(before: dict[str, Any] | None, now: dict[str, Any] | None) -> str:
    if not before or not now:
        return ""
    names = [name for name in before if name not in now or before[name] != now[name]]
    return f" (in {', '.join(names)})"
