"""One run from lock to publication, in four phases: prepare, build, audit, publish. ``_run`` reads as their list."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from etl.base.errors import EtlError, UsageError
from etl.base.file_stat import read_stats, write_stats
from etl.base.project import Project
from etl.base.settings import Settings
from etl.base.signals import ignore_signals, interrupting, run_stoppable, stop_if_told
from etl.context import Clock, EvidenceFile, Progress, Run, Stage, show_nothing
from etl.ingest.files import find_evidence
from etl.ingest.known_paths import Manifest
from etl.pipeline.obstacles import require_publishable
from etl.pipeline.plan import Plan, Published, make_plan
from etl.pipeline.publish import link_or_copy, make_durable, make_exports, publish
from etl.pipeline.recover import finish_cut_run, publish_documents
from etl.pipeline.stages import STAGES, run_stages
from etl.pipeline.staging import Building, Publishing, Staging
from etl.receipts.models import RunRequest, RunSummary, StageReceipt
from etl.receipts.recorder import PartialRun, Recorder, new_header, timestamp_of
from etl.receipts.report import RunReport, compose_report, write_report
from etl.receipts.store import (
    carry_row_history,
    copy_receipts,
    forget_row_history,
    keep_row_history,
    last_published,
    load_history,
    require_pin,
    write_known_rows,
)
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql

#: Memory of the engine that streams the published warehouse's row history, beside the run's own engine.
_HISTORY_MEMORY = "256MB"


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

    @property
    def forced(self) -> tuple[Stage, ...]:
        """The stages that run even where nothing changed."""
        return self.stages if self.force else ()

    def as_recorded(self) -> RunRequest:
        """Return the request as receipts record it."""
        project, known_paths = self.project, self.known_paths
        return RunRequest(
            stages=[stage.name for stage in self.stages],
            evidence=project.relative(project.evidence),
            known_paths=project.relative(known_paths.file) if known_paths else None,
            settings=self.settings.model_dump(),
            fail_fast=self.fail_fast,
            force=self.force,
            rehash=self.rehash,
        )


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
    """Run every stage whose inputs changed, audit what they wrote, and publish it as one version.

    A run that fails leaves its receipts and publishes nothing. Raises UsageError before anything is built; a later error is
    in the outcome. SIGINT and SIGTERM end the run at its next step; from the decision to publish on they are ignored.
    """
    return run_stoppable(lambda: _run(request))


def _run(request: Request) -> Outcome:
    project = request.project
    evidence = find_evidence(project.evidence, request.settings.follow_links)
    staging = Staging(project)
    with staging.hold():
        finish_cut_run(staging)
        staging.clear()
        try:
            with closing(load_history(project, Sql.of(project.overlay), request.settings)) as history:
                run = _prepare(request, staging, history, tuple(evidence))
                try:
                    with _build(run) as warehouse:
                        report = _audit(run, warehouse)
                    _publish(run, report)
                except BaseException as error:
                    if isinstance(staging.entry(), Publishing):
                        raise  # the next run finishes it
                    return Outcome(_write_failure(run, error), error)
                return Outcome(report)
        finally:
            if not isinstance(staging.entry(), Publishing):
                shutil.rmtree(staging.build, ignore_errors=True)


# --- prepare -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What the phases work with.

    ``stages`` are those that run; ``reused`` are the published receipts of the others; ``base`` is the published run where
    its warehouse is built upon.
    """

    request: Request
    sql: Sql
    staging: Staging
    history: Warehouse
    evidence: tuple[EvidenceFile, ...]
    recorder: Recorder
    stages: tuple[Stage, ...]
    reused: Sequence[StageReceipt]
    base: Published | None


def _prepare(request: Request, staging: Staging, history: Warehouse, evidence: tuple[EvidenceFile, ...]) -> _Prepared:
    """Make sure that the run can be published, decide which stages run, and begin to record. Raises UsageError."""
    project = request.project
    sql = Sql.of(project.overlay)
    require_pin(project, history)
    require_publishable(staging)
    lineage = Lineage.of(history)
    header = new_header(project, sql, request.as_recorded(), request.settings, history, lineage, request.clock, STAGES)
    plan, published = make_plan(project, header, history, lineage, evidence, request.forced, request.rehash)
    stages = _stages_to_run(plan, request.stages)
    base = published if published and published.is_base else None
    if not base and project.warehouse.is_file():
        with PublishedWarehouse.open(project.warehouse, staging.build):
            pass  # a file that is not a warehouse of ours must not be replaced
    reused = [published.receipts[stage.name] for stage in STAGES if stage not in stages] if published else []
    carried = base.carried if base else frozenset()

    def note(partial_run: PartialRun) -> None:
        staging.note(Building(partial_run=partial_run))

    recorder = Recorder(header, history, sql, lineage, request.clock, carried, request.fail_fast, note)
    recorder.begin((*stages, *STAGES)[0].name)
    return _Prepared(request, sql, staging, history, evidence, recorder, stages, reused, base)


def _stages_to_run(plan: Plan, wanted: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return the stale stages. Raises UsageError where one of them was not asked for: a version is one."""
    stale = {step.stage: step for step in plan.stale}
    for stage in STAGES:
        if stage.name in stale and stage not in wanted:
            raise UsageError(f"{stage.name} cannot be reused: {stale[stage.name].reason} Run it too, or use etl run-all.")
    return tuple(stage for stage in STAGES if stage.name in stale)


# --- build -------------------------------------------------------------------------------------------------------------


@contextmanager
def _build(run: _Prepared) -> Iterator[Warehouse | None]:
    """Run the stages in a new warehouse and link the files of the reused ones; give the warehouse, which is still open.

    Each stage's files are read back and audited while the next stage runs. Where nothing changed, nothing is built.
    """
    if not run.stages:
        run.recorder.carry_over(run.reused)
        yield None
        return
    request, staging = run.request, run.staging
    warehouse = _open_warehouse(run)
    with closing(warehouse), interrupting(warehouse.interrupt):
        run.recorder.carry_over(run.reused)
        make_exports(staging)
        _link_exports(run)
        context = Run(
            request.project,
            request.settings,
            run.sql,
            warehouse,
            staging.exports,
            request.progress,
            run.evidence,
            run.base.untouched if run.base else frozenset(),
            run.recorder.lineage,
        )
        run_stages(context, run.stages, run.recorder.observer(context), at_last=partial(_keep_rows, run, warehouse))
        yield warehouse


def _open_warehouse(run: _Prepared) -> Warehouse:
    """Open the warehouse that the run builds: a new one, or a copy of the published one, which has these very views."""
    request, file = run.request, run.staging.build / "etl.duckdb"
    if run.base:
        shutil.copyfile(request.project.warehouse, file)
    begin = Warehouse.take_over if run.base else Warehouse.create
    warehouse = begin(run.sql, request.settings, file)
    fill_known_paths(warehouse, request.known_paths)
    return warehouse


def fill_known_paths(warehouse: Warehouse, manifest: Manifest | None) -> None:
    """Put the paths of a manifest in place of what the warehouse knows; no manifest: none."""
    paths = manifest.paths if manifest else ()
    warehouse.replace("policy.known_path", pa.table({"path": pa.array(paths, pa.string())}))


def _link_exports(run: _Prepared) -> None:
    """Give the files of reused stages a second name in the build."""
    for receipt in run.reused:
        for entry in receipt.outputs.files:
            if entry.bytes is not None:
                target = run.staging.build / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(run.request.project.root / entry.path, target)


def _keep_rows(run: _Prepared, warehouse: Warehouse) -> None:
    """Write down the state of each row, after those that the published warehouse knows.

    Where no earlier run is known, the numbers in its row history mean nothing any more, so that it is left behind.
    """
    before, published = last_published(run.history), run.request.project.warehouse
    if not run.base and before is not None and published.is_file():
        with PublishedWarehouse.open(published, run.staging.build, _HISTORY_MEMORY) as old:
            carry_row_history(old, warehouse)
    keep_row_history(warehouse, run.recorder.header.seq, before)


# --- audit -------------------------------------------------------------------------------------------------------------


def _audit(run: _Prepared, warehouse: Warehouse | None) -> RunReport:
    """Hold the receipts against each other, compute drift, write all documents, and make everything durable.

    It is the last moment at which a run can fail.
    """
    history, staging, settings = run.history, run.staging, run.request.settings
    receipts = run.recorder.partial_run.closed(None, timestamp_of(run.request.clock))
    report = compose_report(history, run.sql, run.recorder.header, receipts, published=True)
    if warehouse:
        copy_receipts(history, warehouse, run.sql)
        forget_row_history(warehouse, settings.history_runs)
        warehouse.finish(run.sql)
        write_known_rows(history, run.sql, staging.build / "receipts.arrow")
    write_report(report, staging.reports, history)
    file_stats = {file.source_path: file.file_stat for file in run.evidence if file.file_stat}
    if warehouse or file_stats != read_stats(run.request.project.evidence_stats):
        write_stats(staging.build / "evidence.json", file_stats)
    make_durable(staging)
    stop_if_told()
    return report


# --- publish -----------------------------------------------------------------------------------------------------------


def _publish(run: _Prepared, report: RunReport) -> None:
    """Publish what was built; where nothing changed, documents alone."""
    ignore_signals()  # too late: the run says what it published
    exports = {
        entry.path.removeprefix("exports/"): entry.sha256
        for receipt in report.receipts
        for entry in receipt.outputs.files
        if entry.bytes is not None and entry.sha256 is not None
    }
    publish(run.staging, Publishing(run_id=report.summary.run_id, exports=exports if run.stages else None))


def _write_failure(run: _Prepared, error: BaseException) -> RunReport:
    """Publish the documents of a run that failed. Raises the error itself where not even they can be written."""
    ignore_signals()
    try:
        return publish_documents(
            run.staging, run.sql, run.history, run.recorder.partial_run, _sentence(error), run.request.clock
        )
    except OSError:
        raise error from None


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted."
    return str(error) if isinstance(error, EtlError) else f"{type(error).__name__}: {error}"
