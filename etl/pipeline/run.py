"""One run from lock to publication: the only place where stages, recorder, drift and publishing meet."""

import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from etl.base.errors import EtlError, UsageError
from etl.base.file_stat import read_stats, write_stats
from etl.base.project import Project
from etl.base.settings import Manifest, Settings
from etl.base.signals import ignore, interruptible, stoppable
from etl.context import Clock, EvidenceFile, Progress, Run, Stage, show_nothing
from etl.ingest.files import find_evidence
from etl.pipeline.plan import Plan, Published, make_plan
from etl.pipeline.publish import Staging, move_reports
from etl.pipeline.stages import STAGES, run_all
from etl.receipts.models import Count, Document, RunRequest, RunSummary, StageReceipt
from etl.receipts.partial_run import PartialRun, new_header, timestamp_of
from etl.receipts.recorder import Recorder
from etl.receipts.report import RunReport, compose_report, write
from etl.receipts.row_history import carry_row_history, forget_row_history, keep_row_history
from etl.receipts.store import copy_receipts, last_published, load_history, require_pin, write_known_rows
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql

#: What the engine may take that hands over the published warehouse's states, beside that of the run: it streams them.
CARRYING = "256MB"


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
class Request:
    """What the user asked for: where, with which settings, and which stages (all of them, unless some are named)."""

    project: Project
    settings: Settings
    known_paths: Manifest | None = None
    stages: tuple[Stage, ...] = STAGES
    clock: Clock = Clock()  # noqa: RUF009 - immutable
    progress: Progress = show_nothing
    fail_fast: bool = False
    force: bool = False
    rehash: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: its documents, and the error that stopped it, if one did."""

    report: RunReport
    error: BaseException | None = None

    @property
    def summary(self) -> RunSummary:
        """The summary of the run."""
        return self.report.summary


def execute(request: Request) -> Outcome:
    """Run the stages aside, audit, and publish; a failed run leaves its receipts, and the previous version as it was.

    Raises UsageError before anything is touched; a later error is in the outcome. Once it is decided what is left behind,
    SIGINT and SIGTERM are ignored for the rest of the process.
    """
    project = request.project
    sql = Sql.of(project.overlay)
    evidence = find_evidence(project.evidence, request.settings.follow_links)
    staging = Staging(project)
    with interruptible(), staging.held():
        staging.recover(lambda entry: write_cut_run(project, entry))
        try:
            staging.clear()
            with closing(load_history(project, sql, request.settings)) as history:
                require_pin(project, history)
                return _held_run(request, sql, staging, history, evidence)
        finally:
            staging.abandon()


def _held_run(
    request: Request, sql: Sql, staging: Staging, history: Warehouse, evidence: Sequence[EvidenceFile]
) -> Outcome:
    project, clock = request.project, request.clock
    lineage = Lineage.of(history)
    header = new_header(project, sql, _request(request), request.settings, history, lineage, clock, STAGES)
    forced = request.stages if request.force else ()
    plan, published = make_plan(project, header, history, lineage, evidence, forced, request.rehash)
    stages = _stages_to_run(plan, request.stages)
    base = published if published and published.is_base else None
    if not base and project.warehouse.is_file():
        with PublishedWarehouse.open(project.warehouse, staging.build):
            pass  # a file that is none of ours must not be replaced: better said before anything is built

    def note(partial_run: PartialRun) -> None:
        staging.note({"state": "building", "partial_run": partial_run.model_dump(mode="json", by_alias=True)})

    carried = base.carried if base else frozenset()
    recorder = Recorder(header, history, sql, lineage, clock, carried, request.fail_fast, note)
    recorder.begin((*stages, *STAGES)[0].name)
    try:
        reused = [published.receipts[stage.name] for stage in STAGES if stage not in stages] if published else []
        build = _Build(request, sql, staging, history, tuple(evidence), recorder, base)
        report = build.version(stages, reused) if stages else build.documents(reused)
        ignore()  # too late: the run tells what it has published
        staging.decide(header.run_id)
    except BaseException as error:
        ignore()
        if staging.is_decided:
            raise  # the next command finishes it
        try:
            failed = _write_failed(project, sql, history, recorder.partial_run, _message(error), timestamp_of(clock))
        except OSError:
            raise error from None  # where not even receipts can be written, the first error is the one to tell
        return Outcome(failed, error)
    staging.roll_forward()
    return Outcome(report)


@dataclass(frozen=True, slots=True)
class _Build:
    """What a run builds aside: a version of everything, or, where nothing changed, its documents alone."""

    request: Request
    sql: Sql
    staging: Staging
    history: Warehouse
    evidence: tuple[EvidenceFile, ...]
    recorder: Recorder
    base: Published | None

    def documents(self, reused: Sequence[StageReceipt]) -> RunReport:
        """Write the documents of a run in which nothing changed; what is published stays."""
        with interruptible():
            self.recorder.carry_over(reused)
            return self._written()

    def version(self, stages: tuple[Stage, ...], reused: Sequence[StageReceipt]) -> RunReport:
        """Run the stages, link what the others made, and write warehouse and documents."""
        project, settings, history = self.request.project, self.request.settings, self.history
        with interruptible():  # the engine would make an error of its own of a signal
            warehouse = _begun_warehouse(self.request, self.sql, self.staging, self.base)
        with closing(warehouse), stoppable(warehouse.interrupt):
            self.recorder.carry_over(reused)
            exports = self.staging.build / "exports"
            exports.mkdir()
            _link_exports(project, reused, self.staging.build)
            untouched = self.base.untouched if self.base else frozenset()
            run = Run(
                project,
                settings,
                self.sql,
                warehouse,
                exports,
                self.request.progress,
                self.evidence,
                untouched,
                self.recorder.lineage,
            )
            keep = partial(
                _keep_rows,
                project,
                self.staging,
                warehouse,
                self.recorder.header.seq,
                last_published(history),
                self.base,
            )
            run_all(run, stages, self.recorder.watching(run), at_last=keep)
            return self._written(warehouse)

    def _written(self, warehouse: Warehouse | None = None) -> RunReport:
        """Write what is left to write, and make all of it durable: the last moment at which a run can still fail."""
        history, sql, build = self.history, self.sql, self.staging.build
        timestamp = timestamp_of(self.request.clock)
        report = compose_report(
            history, sql, self.recorder.header, self.recorder.partial_run.closed(None, timestamp), published=True
        )
        if warehouse:
            copy_receipts(history, warehouse, sql)
            forget_row_history(warehouse, self.request.settings.history_runs)
            warehouse.finish(sql)
            write_known_rows(history, sql, build / "receipts.arrow")
        write(report, build / "reports", history)
        file_stats = {file.source_path: file.file_stat for file in self.evidence if file.file_stat}
        if warehouse or file_stats != read_stats(self.request.project.evidence_stats):
            write_stats(build / "evidence.json", file_stats)
        self.staging.prepare()
        return report


def _begun_warehouse(request: Request, sql: Sql, staging: Staging, base: Published | None) -> Warehouse:
    """Return the warehouse that the run builds: a new one, or a copy of the published one, which has these very views."""
    file = staging.build / "etl.duckdb"
    if base:
        shutil.copyfile(request.project.warehouse, file)
    begin = Warehouse.take_over if base else Warehouse.create
    warehouse = begin(sql, request.settings, file)
    known_paths = request.known_paths.paths if request.known_paths else ()
    warehouse.replace("policy.known_path", pa.table({"path": pa.array(known_paths, pa.string())}))
    return warehouse


def _request(request: Request) -> RunRequest:
    """Return what was asked for as receipts tell it."""
    project, known_paths = request.project, request.known_paths
    return RunRequest(
        stages=[stage.name for stage in request.stages],
        evidence=project.relative(project.evidence),
        known_paths=project.relative(known_paths.file) if known_paths else None,
        settings=request.settings.model_dump(),
        fail_fast=request.fail_fast,
        force=request.force,
        rehash=request.rehash,
    )


def plan_of(request: Request) -> Plan:
    """Return which stages would run, and why. Raises NotFoundError where there is no evidence folder."""
    project, sql = request.project, Sql.of(request.project.overlay)
    with interruptible(), closing(load_history(project, sql, request.settings)) as history:
        lineage = Lineage.of(history)
        header = new_header(project, sql, _request(request), request.settings, history, lineage, request.clock, STAGES)
        evidence = find_evidence(project.evidence, request.settings.follow_links)
        forced = request.stages if request.force else ()
        return make_plan(project, header, history, lineage, evidence, forced, request.rehash)[0]


def dry_run(request: Request) -> list[StageCount]:
    """Return the books that the stages would have, computed in memory; nothing is written."""
    sql = Sql.of(request.project.overlay)
    find_evidence(request.project.evidence, request.settings.follow_links)
    with interruptible(), closing(Warehouse.create(sql, request.settings)) as warehouse:
        if request.known_paths is not None:
            warehouse.replace("policy.known_path", pa.table({"path": pa.array(request.known_paths.paths, pa.string())}))
        run = Run(request.project, request.settings, sql, warehouse, Path(os.devnull), request.progress)
        with stoppable(warehouse.interrupt):
            run_all(run, tuple(stage for stage in STAGES if not stage.exports))
        books = {
            book["stage"]: StageCount.model_validate(book) for book in warehouse.dicts("from receipts.stage_count")
        }
        return [books[stage.name] for stage in request.stages]


def write_cut_run(project: Project, entry: dict[str, Any]) -> None:
    """Write the receipts of a run that was killed while it built, from its journal."""
    partial_run = PartialRun.model_validate(entry["partial_run"])
    if (project.reports / partial_run.header.run_id / "summary.json").is_file():
        # The folder comes whole; what belongs beside it was perhaps not moved in time, nor the journal removed.
        move_reports(Staging(project).build / "failed", project.reports, partial_run.header.run_id)
        return
    sql = Sql.of(project.overlay)
    history = load_history(project, sql, Settings())
    try:
        message = "The run was cut off before its end: its process was killed, or the machine stopped."
        _write_failed(project, sql, history, partial_run, message, timestamp_of(Clock()))
    finally:
        history.close()


def _write_failed(
    project: Project, sql: Sql, history: Warehouse, partial_run: PartialRun, message: str, timestamp: str
) -> RunReport:
    report = compose_report(history, sql, partial_run.header, partial_run.closed(message, timestamp), published=False)
    built = Staging(project).build / "failed"
    shutil.rmtree(built, ignore_errors=True)
    write(report, built, history)
    move_reports(built, project.reports, partial_run.header.run_id)
    return report


def _stages_to_run(plan: Plan, wanted: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return the stale stages. Raises UsageError where one of them was not asked for: a version is one."""
    stale = {step.stage: step for step in plan.stale}
    for stage in STAGES:
        if stage.name in stale and stage not in wanted:
            raise UsageError(
                f"{stage.name} cannot be carried over: {stale[stage.name].reason} Run it too, or use etl run-all."
            )
    return tuple(stage for stage in STAGES if stage.name in stale)


def _keep_rows(
    project: Project, staging: Staging, warehouse: Warehouse, seq: int, before: int | None, base: Published | None
) -> None:
    """Write down the state of each row, after those that the published warehouse knows.

    Where no earlier run is known, its states have lost what their numbers mean, and are not taken over.
    """
    if not base and before is not None and project.warehouse.is_file():
        with PublishedWarehouse.open(project.warehouse, staging.build, CARRYING) as published:
            carry_row_history(published, warehouse)
    keep_row_history(warehouse, seq, before)


def _link_exports(project: Project, reused: Sequence[StageReceipt], build: Path) -> None:
    """Link the files of reused stages into the build."""
    for receipt in reused:
        for entry in receipt.outputs.files:
            if entry.bytes is not None:
                (build / entry.path).parent.mkdir(parents=True, exist_ok=True)
                os.link(project.root / entry.path, build / entry.path)


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted."
    if isinstance(error, EtlError):
        return str(error)
    return f"{type(error).__name__}: {error}"
