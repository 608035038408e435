"""Which stages must run, and why; the others are reused.

A stage is reused where the evidence, the code, the settings and the engine are those that made it, and its files are still
there, byte for byte. The evidence counts as an input of every stage: line numbers reach the datasets.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etl.base.errors import NotFoundError
from etl.base.file_stat import read_run, read_stats, stat_of
from etl.base.files import sha256_of
from etl.base.project import Project
from etl.context import EvidenceFile, Stage
from etl.pipeline.stages import STAGES
from etl.receipts.models import Document, FileEntry, RunSummary, StageReceipt
from etl.receipts.recorder import RunHeader
from etl.receipts.store import SUMMARY, is_as_published, is_known, newest, read_documents, summary_hash
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage

COLLECT = STAGES[0]


class Step(Document):
    """Whether one stage would run, and why; ``made_by`` is the run whose output would be reused."""

    stage: str
    action: Literal["run", "reuse"]
    reason: str
    made_by: str | None = None


class Plan(Document):
    """What a run would do now. ``published_run_id`` is null where no published run can be reused."""

    schema_version: Literal[1] = 1
    published_run_id: str | None
    steps: list[Step]

    @property
    def stale(self) -> list[Step]:
        """The stages that must run."""
        return [step for step in self.steps if step.action == "run"]


@dataclass(frozen=True, slots=True)
class Published:
    """The published run, and what a new run can reuse of it.

    ``untouched`` are the paths of evidence files whose bytes have not changed; ``carried`` those paths, of evidence and of
    exports (``exports/…``), for which only the file system says so. Where ``is_base``, the evidence in the published
    warehouse is what this run would collect of the untouched files.
    """

    summary: RunSummary
    receipts: dict[str, StageReceipt]
    untouched: frozenset[str]
    carried: frozenset[str]
    is_base: bool


class _UnusableError(Exception):
    """Why nothing published can be reused."""


def make_plan(
    project: Project,
    header: RunHeader,
    history: Warehouse,
    lineage: Lineage,
    evidence: Sequence[EvidenceFile],
    forced: Collection[Stage] = (),
    rehash: bool = False,
) -> tuple[Plan, Published | None]:
    """Return what a run with this header would do, and the published run that it would reuse, if there is one.

    A file whose stats are those of the published run is not read, unless ``rehash``.
    """
    try:
        summary, receipts = _published(project, history)
    except _UnusableError as error:
        return Plan(published_run_id=None, steps=[_step(stage, str(error)) for stage in STAGES]), None

    def own_reason(stage: Stage) -> str | None:
        return (
            _changed_settings(stage, receipts[stage.name], header, summary, lineage)
            or _unprovable(stage, lineage)
            or ("--force was given" if stage in forced else None)
        )

    collected = receipts[COLLECT.name]
    files = _Files(project, evidence, collected, rehash)
    code = next(_differences(header, collected, summary), None)
    changed = next(files.changes(), None)
    steps = [
        _step(stage, code or changed or own_reason(stage) or _spoiled(files, stage, receipts[stage.name]), receipts[stage.name])
        for stage in STAGES
    ]
    is_base = not code and not own_reason(COLLECT)
    published = Published(summary, receipts, frozenset(files.untouched), frozenset(files.carried), is_base)
    return Plan(published_run_id=summary.run_id, steps=steps), published


def _step(stage: Stage, why: str | None, receipt: StageReceipt | None = None) -> Step:
    if why:
        return Step(stage=stage.name, action="run", reason=f"{why}.")
    made_by = (receipt.made_by or receipt.run_id) if receipt else None
    return Step(stage=stage.name, action="reuse", reason=f"nothing changed since run {made_by}.", made_by=made_by)


def _published(project: Project, history: Warehouse) -> tuple[RunSummary, dict[str, StageReceipt]]:
    """Return the published run. Raises _UnusableError where there is none, or somebody changed what it left."""
    try:
        run_id = newest(history, published=True)
    except NotFoundError:
        raise _UnusableError("nothing is published yet") from None
    if not is_as_published(project):
        raise _UnusableError("somebody changed the warehouse since it was published")
    found = _whole_documents(project, history, run_id)
    if found is None:
        raise _UnusableError(f"the receipts of the published run {run_id} are damaged")
    summary, receipts = found
    made_by = read_run(project.published_stats)
    is_unchanged = {stage.status for stage in summary.stages} == {"reused"}
    if run_id != made_by and not (is_unchanged and is_known(history, made_by)):
        raise _UnusableError(f"the receipts of run {made_by}, which published what is there, are damaged or gone")
    return summary, {receipt.stage: receipt for receipt in receipts}


def _whole_documents(project: Project, history: Warehouse, run_id: str) -> tuple[RunSummary, list[StageReceipt]] | None:
    """Return the documents of a run; None where one of them is not what the run wrote."""
    folder = project.reports / run_id
    try:
        summary, receipts = read_documents(folder)
        wanted = {document.path: document.sha256 for document in summary.documents}
        wanted[SUMMARY] = summary_hash(project, history, run_id) or ""
        are_whole = all(sha256_of(folder / name) == digest for name, digest in wanted.items())
    except (OSError, ValueError):
        return None
    return (summary, receipts) if are_whole else None


def _differences(header: RunHeader, collected: StageReceipt, summary: RunSummary) -> Iterator[str]:
    """Yield each difference between this program and the one that made the published run; it concerns every stage."""
    if collected.code_hash != header.code_hash:
        yield f"the code or the SQL is not that of run {summary.run_id}"
    before, now = collected.engine.model_dump(), header.engine.model_dump()
    for name in now:
        if before[name] != now[name]:
            yield f"{name} is {now[name]}, and was {before[name]}"


def _changed_settings(
    stage: Stage, receipt: StageReceipt, header: RunHeader, summary: RunSummary, lineage: Lineage
) -> str | None:
    """Return which settings that can change what a stage writes have changed, if any have."""
    if receipt.settings_hash == header.settings_hashes[stage.name]:
        return None
    before, now = summary.request.settings, header.request.settings
    mine = lineage.settings_of(stage.relations, stage.dataset.name if stage.dataset else None)
    changes = [
        f"{name} is {now[name]}, and was {before.get(name)}" for name in now if name in mine and before.get(name) != now[name]
    ]
    return "settings changed: " + (", ".join(changes) or "another version made the published run")


def _unprovable(stage: Stage, lineage: Lineage) -> str | None:
    """Return what the stage reads that may differ from run to run, if it reads such."""
    relations = lineage.unprovable(stage.relations)
    return f"it reads {', '.join(relations)}, which can differ from run to run" if relations else None


class _Files:
    """The files on disk, held against what the published run read and wrote; file stats first, because they cost nothing."""

    def __init__(self, project: Project, evidence: Sequence[EvidenceFile], collected: StageReceipt, rehash: bool) -> None:
        self._project = project
        self._found = {file.source_path: file for file in evidence}
        self._known = {entry.path: entry for entry in collected.inputs.files}
        self._evidence_stats = {} if rehash else read_stats(project.evidence_stats)
        self._published_stats = {} if rehash else read_stats(project.published_stats)
        self.carried: set[str] = set()
        self.untouched = {path for path in self._found if path in self._known and self._is_untouched(path)}

    def changes(self) -> Iterator[str]:
        """Yield each file of evidence that is new, gone or changed."""
        yield from (f"{path} is new evidence" for path in self._found if path not in self._known)
        yield from (f"{path} is gone from the evidence" for path in self._known if path not in self._found)
        for path in sorted(self._found.keys() & self._known.keys() - self.untouched):
            file, entry = self._found[path], self._known[path]
            if entry.sha256 is None or file.problem is not None:
                yield f"{path} could not be read"
            elif file.size != entry.bytes:
                yield f"{path} has {file.size:,} bytes, and had {entry.bytes or 0:,}"
            else:
                yield f"{path} has changed"

    def is_as_exported(self, entry: FileEntry) -> bool:
        """Return whether an exported file is what its receipt says."""
        file = self._project.root / entry.path
        before = self._published_stats.get(entry.path)
        is_carried = before is not None and before.size == entry.bytes and stat_of(file) == before
        return self._is_same(entry, file, is_carried)

    def _is_untouched(self, path: str) -> bool:
        file = self._found[path]
        entry = self._known[path]
        is_carried = (
            file.file_stat is not None and file.size == entry.bytes and self._evidence_stats.get(path) == file.file_stat
        )
        return file.problem is None and self._is_same(entry, file.path, is_carried)

    def _is_same(self, entry: FileEntry, file: Path, is_carried: bool) -> bool:
        if entry.sha256 is None:
            return False
        if is_carried:
            self.carried.add(entry.path)
        return is_carried or _has_content(file, entry)


def _spoiled(files: _Files, stage: Stage, receipt: StageReceipt) -> str | None:
    """Return which of the stage's files is not what the receipt says, if one is."""
    if stage.exports:
        for entry in receipt.outputs.files:
            if not files.is_as_exported(entry):
                return f"{entry.path} is gone, or somebody changed it"
    return None


def _has_content(file: Path, entry: FileEntry) -> bool:
    try:
        return file.stat().st_size == entry.bytes and sha256_of(file) == entry.sha256
    except OSError:
        return False
