"""Repeats an earlier run in a scratch root, from what its receipts name, and compares every output with its receipt."""

import json
import shutil
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pyarrow.parquet as pq
from pydantic import ValidationError

from etl.base.errors import UsageError
from etl.base.files import sha256_of
from etl.base.project import Project
from etl.base.settings import Settings
from etl.base.terminal import LONGEST_PATH, short
from etl.context import Progress, name_on_disk, show_nothing
from etl.export.writer import ROWS_PER_GROUP
from etl.ingest.files import find_evidence
from etl.ingest.formats.packing import CHUNK
from etl.ingest.holdout import read_holdout
from etl.ingest.known_paths import read_known_paths
from etl.pipeline.request import Request
from etl.pipeline.run import execute
from etl.receipts.check import evidence_of
from etl.receipts.models import Document, FileEntry, RunSummary, StageReceipt
from etl.receipts.store import require_documents
from etl.warehouse.sql_files import Sql


class Comparison(Document):
    """One output of a run beside the same output of its replay; ``difference`` says where they differ first."""

    path: str
    is_equal: bool
    difference: str | None


class Replay(Document):
    """What came of repeating a run. Where the code or the engine is another one, a difference proves nothing."""

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
    """Repeat a run and compare each output with its receipt.

    ``evidence`` is where its inputs are now, if not where they were. A file that has only grown is read as far as the run
    read it. Raises UsageError where the run published nothing, or where an input, a setting or the manifest of known paths
    is not the same any more.
    """
    summary, receipts = require_documents(project.reports / run_id)
    if not summary.published:
        raise UsageError(f"Run {run_id} published nothing that could be compared; replay a run that published.")
    collect = next(receipt for receipt in receipts if receipt.stage == "collect")
    with TemporaryDirectory(prefix="etl-replay-") as folder:
        scratch = Project.at(Path(folder))
        scratch.evidence.mkdir()
        if project.overlay.is_dir():
            shutil.copytree(project.overlay, scratch.overlay)
        evidence = evidence or evidence_of(project, summary)
        for entry in collect.inputs.files:
            _copy_input(evidence, entry, scratch.evidence, run_id)
        _name_ignored(evidence, Sql.of(project.overlay), scratch.evidence)
        outcome = execute(_request(project, scratch, summary, progress))
        if outcome.error is not None:
            raise outcome.error
        made = outcome.report.receipts[0]
        before, again = outputs_of(receipts), outputs_of(outcome.report.receipts)
        return Replay(
            run_id=run_id,
            same_code=collect.code_hash == made.code_hash,
            same_engine=collect.engine == made.engine,
            outputs=[_compare(project, scratch, path, before.get(path), again.get(path)) for path in before | again],
        )


def outputs_of(receipts: Iterable[StageReceipt]) -> dict[str, FileEntry]:
    """Return the outputs of all stages of a run by their paths."""
    return {entry.path: entry for receipt in receipts for entry in receipt.outputs.files}


def _copy_input(evidence: Path, entry: FileEntry, target: Path, run_id: str) -> None:
    """Copy as much of a file of evidence as a run read. Raises UsageError where that is not what the run read."""
    name = name_on_disk(entry.path)
    file, copy, shown = evidence / name, target / name, f"{evidence}/{short(entry.path, LONGEST_PATH)}"
    if entry.sha256 is None or entry.bytes is None:
        raise UsageError(f"{shown}: run {run_id} could not read this file, so the run cannot be repeated.")
    if not copy.resolve().is_relative_to(target.resolve()):
        raise UsageError(f"{shown}: it leads out of the evidence folder; check run {run_id} with etl verify --all.")
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("rb") as source, copy.open("wb") as sink:
            for start in range(0, entry.bytes, CHUNK):
                sink.write(source.read(min(CHUNK, entry.bytes - start)))
        problem = "" if sha256_of(copy) == entry.sha256 else "its bytes are not those that the run read"
    except OSError as error:
        problem = f"it cannot be read now ({error.strerror})"
    if problem:
        raise UsageError(f"{shown}: {problem}; put back what run {run_id} read, or name another folder with --evidence.")


def _name_ignored(evidence: Path, sql: Sql, target: Path) -> None:
    """Let the target have empty files for those that are ignored now: their names can tell where a unit of evidence ends."""
    for file in find_evidence(evidence, sql):
        if file.ignored_by:
            copy = target / name_on_disk(file.source_path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch()


def _request(project: Project, scratch: Project, summary: RunSummary, progress: Progress) -> Request:
    """Return the request to repeat a run. Raises UsageError where a setting, the known paths or the hold-out prevents it."""
    asked, known_paths, holdout = summary.request, None, None
    try:
        settings = Settings.from_recorded(asked.settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"Run {summary.run_id} had the setting {first['loc'][0]}, which this version does not take "
            f"({first['msg'].lower()}); replay it with the version that made it."
        ) from None
    if asked.known_paths is not None:
        known_paths = read_known_paths(project.root / asked.known_paths)
        if known_paths.sha256() != settings.known_paths_sha256:
            raise UsageError(f"{known_paths.file}: it does not name the paths that run {summary.run_id} knew; put it back.")
    if asked.holdout is not None:
        holdout = read_holdout(project.root / asked.holdout)
        if holdout.sha256() != settings.holdout_sha256:
            raise UsageError(f"{holdout.file}: it does not name the tasks that run {summary.run_id} reserved; put it back.")
    return Request(scratch, settings, known_paths, holdout, progress=progress)


def _compare(project: Project, scratch: Project, path: str, entry: FileEntry | None, again: FileEntry | None) -> Comparison:
    """Compare an output with that of the replay: say where the two differ first, as far as the old one can still be read."""
    old, new = project.root / path, scratch.root / path
    if entry is None or again is None:
        difference = "only the replay wrote it" if entry is None else "the replay did not write it"
    elif again.sha256 == entry.sha256:
        difference = None
    elif entry.bytes is None:
        difference = "the relation has different rows"
    elif not old.is_file() or sha256_of(old) != entry.sha256:
        difference = "its bytes differ; the file has been replaced since, so its rows cannot be compared"
    else:
        difference = _first_difference(old, new)
    return Comparison(path=path, is_equal=difference is None, difference=difference)


def _first_difference(old: Path, new: Path) -> str:
    rows = zip_longest(_rows(old), _rows(new), fillvalue={"id": "absent"})
    for number, (before, now) in enumerate(rows, start=1):
        if before != now:
            columns = ", ".join(name for name in before if before[name] != now.get(name))
            return f"row {number} is the first that differs (in {columns}): it was {before['id']} and is {now['id']}"
    return "its rows are equal, but its bytes differ"


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSONL or Parquet file."""
    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(ROWS_PER_GROUP):
                yield from batch.to_pylist()
    else:
        with file.open("rb") as lines:
            yield from map(json.loads, lines)
