"""What a run would do: which stages it would run, and why; and what they would count. Nothing is written.

A stage is reused where the evidence, the code, the settings and the engine are those that made it, and its files are still
there, byte for byte. The evidence counts as an input of every stage: line numbers reach the datasets.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etl.base.errors import NotFoundError
from etl.base.file_stat import FileStat, read_run, read_stats, stat_of
from etl.base.files import sha256_of
from etl.base.project import Project
from etl.base.settings import OF_SOURCES, Settings, is_of_source
from etl.base.signals import interrupting, run_stoppable
from etl.base.terminal import short
from etl.context import IGNORE_FILE, EvidenceFile, Run, Stage, source_of
from etl.ingest.files import find_evidence
from etl.pipeline.request import Request
from etl.pipeline.stages import STAGES, run_stages
from etl.receipts.header import RunHeader, new_header
from etl.receipts.models import Count, Document, FileEntry, RunSummary, StageReceipt
from etl.receipts.store import is_as_published, is_known, load_history, newest, read_documents, written_hashes
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage, settings_hash

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


class StageCount(Document):
    """What a stage would take in, and what would become of it: a row of ``receipts.stage_count``."""

    stage: str
    records_in: Count
    accepted: Count
    rejected: Count
    quarantined: Count
    skipped: Count
    blank: Count


@dataclass(frozen=True, slots=True)
class Published:
    """The published run, and what a new run can reuse of it.

    ``untouched`` are the paths of evidence files whose bytes have not changed; ``carried`` those paths, of evidence and of
    exports (``exports/…``), for which only the file system says so. Where ``is_base``, the evidence in the published
    warehouse is what this run would collect of the untouched files, but for the sources in ``anew``, whose own settings
    have changed. ``intact`` are the exported files that are as their receipts say, of stages that would write the same rows
    in the same way.
    """

    summary: RunSummary
    receipts: dict[str, StageReceipt]
    untouched: frozenset[str]
    carried: frozenset[str]
    is_base: bool
    anew: frozenset[str]
    intact: frozenset[str]


def plan(request: Request) -> Plan:
    """Return which stages would run, and why. Raises NotFoundError where there is no evidence folder."""
    with closing(load_history(request.project, request.sql, request.settings)) as history:
        lineage = Lineage.of(history)
        evidence = find_evidence(request.project.evidence, request.sql, request.settings.follow_links)
        return make_plan(request, header_of(request, history, lineage), history, lineage, evidence)[0]


def dry_run(request: Request) -> list[StageCount]:
    """Return what the stages would count, computed in memory."""
    return run_stoppable(lambda: _count(request))


def _count(request: Request) -> list[StageCount]:
    find_evidence(request.project.evidence, request.sql, request.settings.follow_links)
    with closing(Warehouse.create(request.sql, request.settings)) as warehouse, interrupting(warehouse.interrupt):
        request.fill_tables(warehouse)
        run = Run(request.project, request.settings, request.sql, warehouse, Path(os.devnull), request.progress)
        run_stages(run, tuple(stage for stage in STAGES if not stage.exports))
        rows = warehouse.dicts("from receipts.stage_count")
    counts = {row["stage"]: StageCount.model_validate(row) for row in rows}
    return [counts[stage.name] for stage in request.stages]


def header_of(request: Request, history: Warehouse, lineage: Lineage) -> RunHeader:
    """Return the header of the run that comes after all of ``history``."""
    return new_header(
        request.project, request.sql, request.as_recorded(), request.settings, history, lineage, request.clock, STAGES
    )


def make_plan(
    request: Request, header: RunHeader, history: Warehouse, lineage: Lineage, evidence: Sequence[EvidenceFile]
) -> tuple[Plan, Published | None]:
    """Return what a run with this header would do, and the published run that it would reuse, if there is one.

    A file whose stats are those of the published run is not read, unless the request says so.
    """
    try:
        summary, receipts = _published(request.project, history)
    except _UnusableError as error:
        return Plan(published_run_id=None, steps=[_step(stage, str(error)) for stage in STAGES]), None

    def own_reason(stage: Stage) -> str | None:
        return (
            _changed_settings(stage, receipts[stage.name], header, summary, lineage)
            or _unprovable(stage, lineage)
            or ("--force was given" if _is_forced(request, stage) else None)
        )

    collected = receipts[COLLECT.name]
    files = _Files(request, evidence, collected)
    code = next(_differences(header, collected, summary), None)
    changed = code or next(files.changes(), None)
    steps = []
    for stage in STAGES:
        receipt = receipts[stage.name]
        spoiled = files.ignored_otherwise() if stage is COLLECT else files.spoiled(receipt)
        steps.append(_step(stage, changed or own_reason(stage) or spoiled, receipt))
    anew = None if code or _is_forced(request, COLLECT) else _changed_sources(request.settings, summary, collected, lineage)
    of_anew = {path for path in files.carried if source_of(path) in (anew or ())}
    plan = Plan(published_run_id=summary.run_id, steps=steps)
    stale = {step.stage for step in plan.stale}
    like_before = [receipts[stage.name] for stage in STAGES if stage.name in stale and not own_reason(stage)]
    intact = frozenset(path for receipt in like_before for path in files.intact(receipt)) if anew is not None else frozenset()
    published = Published(
        summary,
        receipts,
        frozenset(files.untouched),
        frozenset(files.carried - of_anew),
        anew is not None,
        anew or frozenset(),
        intact,
    )
    return plan, published


def _is_forced(request: Request, stage: Stage) -> bool:
    return request.force and stage in request.stages


def _step(stage: Stage, why: str | None, receipt: StageReceipt | None = None) -> Step:
    if why:
        return Step(stage=stage.name, action="run", reason=f"{why}.")
    made_by = (receipt.made_by or receipt.run_id) if receipt else None
    return Step(stage=stage.name, action="reuse", reason=f"nothing changed since run {made_by}.", made_by=made_by)


class _UnusableError(Exception):
    """Why nothing published can be reused."""


def _published(project: Project, history: Warehouse) -> tuple[RunSummary, dict[str, StageReceipt]]:
    """Return the published run. Raises _UnusableError where there is none, or somebody changed what it left."""
    try:
        run_id = newest(history, published=True)
    except NotFoundError:
        raise _UnusableError("nothing is published yet") from None
    if not is_as_published(project):
        raise _UnusableError("somebody changed the warehouse since it was published")
    folder = project.reports / run_id
    try:
        summary, receipts = read_documents(folder)
        written = written_hashes(project, history, summary)
        is_whole = all(sha256_of(folder / name) == digest for name, digest in written.items())
    except (OSError, ValueError):
        is_whole = False
    if not is_whole:
        raise _UnusableError(f"the receipts of the published run {run_id} are damaged")
    made_by = read_run(project.published_stats)
    is_unchanged = {stage.status for stage in summary.stages} == {"reused"}
    if run_id != made_by and not (is_unchanged and is_known(history, made_by)):
        raise _UnusableError(f"the receipts of run {made_by}, which published what is there, are damaged or gone")
    return summary, {receipt.stage: receipt for receipt in receipts}


def _differences(header: RunHeader, collected: StageReceipt, summary: RunSummary) -> Iterator[str]:
    """Yield each difference between this program and the one that made the published run; it concerns every stage."""
    if collected.code_hash != header.code_hash:
        yield f"the code or the SQL is not that of run {summary.run_id}"
    for (name, before), (_, now) in zip(collected.engine, header.engine, strict=True):
        if before != now:
            yield f"{name} is {now}, and was {before}"


def _changed_settings(
    stage: Stage, receipt: StageReceipt, header: RunHeader, summary: RunSummary, lineage: Lineage
) -> str | None:
    """Return which settings that can change what a stage writes have changed, if any have."""
    if receipt.settings_hash == header.settings_hashes[stage.name]:
        return None
    before, now = summary.request.settings, header.request.settings
    mine = stage.settings(lineage)
    names = [name for name in {**now, **before} if (OF_SOURCES if is_of_source(name) else name) in mine]
    changed = [name for name in names if before.get(name) != now.get(name)]
    changes = ", ".join(f"{name} is {now.get(name)}, and was {before.get(name)}" for name in changed)
    return f"settings changed: {changes or 'another version made the published run'}"


def _changed_sources(
    settings: Settings, summary: RunSummary, collected: StageReceipt, lineage: Lineage
) -> frozenset[str] | None:
    """Return the sources whose own settings are not those of the published run; None where collect has more to do again."""
    if _unprovable(COLLECT, lineage):
        return None
    mine, before = COLLECT.settings(lineage), Settings.from_recorded(summary.request.settings)
    others_as_now = settings.model_copy(update={OF_SOURCES: before.source_settings})
    if settings_hash(others_as_now, mine) != collected.settings_hash:
        return None
    changed = {*before.source_settings} ^ {*settings.source_settings} if OF_SOURCES in mine else set()
    return frozenset(row.source for row in changed)


def _unprovable(stage: Stage, lineage: Lineage) -> str | None:
    """Return what the stage reads that may differ from run to run, if it reads such."""
    relations = lineage.unprovable(stage.relations)
    return f"it reads {', '.join(relations)}, which can differ from run to run" if relations else None


class _Files:
    """The files on disk, compared with what the published run read and wrote; file stats first, because they cost nothing."""

    def __init__(self, request: Request, evidence: Sequence[EvidenceFile], collected: StageReceipt) -> None:
        self._root = request.project.root
        self._found = {file.source_path: file for file in evidence if not file.ignored_by or file.source_path == IGNORE_FILE}
        self._ignored = Counter(file.ignored_by for file in evidence if file.ignored_by)
        self._collected = collected
        self._known = {entry.path: entry for entry in collected.inputs.files}
        self._exported = {} if request.rehash else read_stats(request.project.published_stats)
        self.carried: set[str] = set()
        stats = {} if request.rehash else read_stats(request.project.evidence_stats)
        self.untouched = {
            path
            for path, file in self._found.items()
            if path in self._known and file.problem is None
            if self._is_same(self._known[path], file.path, file.file_stat, stats.get(path))
        }

    def changes(self) -> Iterator[str]:
        """Yield each file of evidence that is new, gone or changed."""
        yield from (f"{short(path)} is new evidence" for path in self._found if path not in self._known)
        yield from (f"{short(path)} is gone from the evidence" for path in self._known if path not in self._found)
        for path in sorted(self._found.keys() & self._known.keys() - self.untouched):
            file, entry = self._found[path], self._known[path]
            if entry.sha256 is None or file.problem is not None:
                yield f"{short(path)} could not be read"
            elif file.size != entry.bytes:
                yield f"{short(path)} has {file.size:,} bytes, and had {entry.bytes or 0:,}"
            else:
                yield f"{short(path)} has changed"

    def ignored_otherwise(self) -> str | None:
        """Return that other files are ignored than the receipt says, by the numbers for each rule."""
        before = self._collected.files.ignored if self._collected.files else {}
        return None if before == self._ignored else "other files of the evidence folder are ignored"

    def spoiled(self, receipt: StageReceipt) -> str | None:
        """Return which of the exported files of a stage is not what the receipt says, if one is."""
        spoiled = (path for path, is_intact in self._judged(receipt) if not is_intact)
        return next((f"{path} is gone, or somebody changed it" for path in spoiled), None)

    def intact(self, receipt: StageReceipt) -> list[str]:
        """Return the exported files of a stage that are what the receipt says."""
        return [path for path, is_intact in self._judged(receipt) if is_intact]

    def _judged(self, receipt: StageReceipt) -> Iterator[tuple[str, bool]]:
        for entry in receipt.outputs.files:
            if entry.bytes is not None:
                file = self._root / entry.path
                yield entry.path, self._is_same(entry, file, stat_of(file), self._exported.get(entry.path))

    def _is_same(self, entry: FileEntry, file: Path, now: FileStat | None, before: FileStat | None) -> bool:
        """Return whether a file has the bytes that a receipt names: by its stats now and before, else by its hash."""
        if entry.sha256 is None:
            return False
        if now is not None and now == before and now.size == entry.bytes:
            self.carried.add(entry.path)
            return True
        return _has_content(file, entry)


def _has_content(file: Path, entry: FileEntry) -> bool:
    try:
        return file.stat().st_size == entry.bytes and sha256_of(file) == entry.sha256
    except OSError:
        return False
