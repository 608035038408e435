"""One run from lock to publication, in four phases: prepare, build, audit, publish. ``_run`` reads as their list."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from etl.base.errors import UsageError, sentence_of
from etl.base.file_stat import read_stats, stat_of, write_stats
from etl.base.files import clone_or_copy, link_or_copy
from etl.base.signals import ignore_signals, interrupting, run_stoppable, stop_if_told
from etl.context import EvidenceFile, Run, Stage
from etl.ingest.files import find_evidence
from etl.pipeline.obstacles import require_publishable
from etl.pipeline.plan import Plan, Published, header_of, make_plan
from etl.pipeline.publish import make_durable, make_exports, publish
from etl.pipeline.recover import finish_cut_run, publish_documents
from etl.pipeline.release.place import finish_cut_export
from etl.pipeline.request import Outcome, Request
from etl.pipeline.stages import STAGES, run_stages
from etl.pipeline.staging import Building, Publishing, Staging
from etl.receipts.header import timestamp_of
from etl.receipts.models import FileEntry, StageReceipt
from etl.receipts.recorder import Recorder
from etl.receipts.report import RunReport, compose_report, write_report
from etl.receipts.store import (
    copy_receipts,
    forget_row_history,
    hand_on,
    keep_row_history,
    keep_splits,
    last_published,
    load_history,
    require_pin,
    write_known_rows,
)
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage
from etl.warehouse.read_only import PublishedWarehouse

#: Memory of the engine that streams the published warehouse's row history, beside the run's own engine.
_HISTORY_MEMORY = "256MB"

#: Of fewer bytes of evidence than these, one thread of the engine makes a version as soon as several, for less CPU time.
_LITTLE = 8 << 20


def execute(request: Request) -> Outcome:
    """Run every stage whose inputs changed, audit what they wrote, and publish it as one version.

    A run that fails leaves its receipts and publishes nothing. Raises UsageError before anything is built; a later error is
    in the outcome. SIGINT and SIGTERM end the run at its next step; from the decision to publish on they are ignored.
    """
    return run_stoppable(lambda: _run(request))


def _run(request: Request) -> Outcome:
    project = request.project
    evidence = find_evidence(project.evidence, request.sql, request.settings.follow_links)
    staging = Staging(project)
    with staging.hold():
        finish_cut_run(staging, request.settings)
        finish_cut_export(staging.project)
        staging.clear()
        try:
            with closing(load_history(project, request.sql, request.settings)) as history:
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
    staging: Staging
    history: Warehouse
    evidence: tuple[EvidenceFile, ...]
    recorder: Recorder
    stages: tuple[Stage, ...]
    reused: Sequence[StageReceipt]
    base: Published | None


def _prepare(request: Request, staging: Staging, history: Warehouse, evidence: tuple[EvidenceFile, ...]) -> _Prepared:
    """Make sure that the run can be published, decide which stages run, and begin to record. Raises UsageError."""
    require_pin(request.project, history)
    require_publishable(staging)
    lineage = Lineage.of(history)
    header = header_of(request, history, lineage)
    plan, published = make_plan(request, header, history, lineage, evidence)
    stages = _stages_to_run(plan, request.stages)
    base = published if published and published.is_base else None
    if not base and request.project.warehouse.is_file():
        with PublishedWarehouse.open(request.project.warehouse, staging.build):
            pass  # a file that is not a warehouse of ours must not be replaced
    reused = [published.receipts[stage.name] for stage in STAGES if stage not in stages] if published else []
    recorder = Recorder(
        header,
        history,
        request.sql,
        lineage,
        request.clock,
        base.carried if base else frozenset(),
        _intact_files(request, base) if base else {},
        request.fail_fast,
        lambda partial_run: staging.note(Building(partial_run=partial_run)),
    )
    recorder.begin((*stages, *STAGES)[0].name)
    return _Prepared(request, staging, history, evidence, recorder, stages, reused, base)


def _intact_files(request: Request, base: Published) -> dict[int, FileEntry]:
    """Return the entries of the exported files that are as their receipts say, by their inodes: a second name shows there."""
    entries = {entry.path: entry for receipt in base.receipts.values() for entry in receipt.outputs.files}
    stats = {path: stat_of(request.project.root / path) for path in base.intact}
    return {stat.inode: entries[path] for path, stat in stats.items() if stat}


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
    request, staging, base = run.request, run.staging, run.base
    warehouse = _open_warehouse(run)
    with closing(warehouse), interrupting(warehouse.interrupt):
        run.recorder.carry_over(run.reused)
        make_exports(staging)
        _link_exports(run)
        context = Run(
            request.project,
            request.settings,
            request.sql,
            warehouse,
            staging.exports,
            request.progress,
            run.evidence,
            base.untouched if base else frozenset(),
            base.anew if base else frozenset(),
            run.recorder.lineage,
            base.intact if base else frozenset(),
        )
        run_stages(context, run.stages, run.recorder.observer(context), at_last=partial(_keep_rows, run, warehouse))
        yield warehouse


def _open_warehouse(run: _Prepared) -> Warehouse:
    """Open the warehouse that the run builds: a new one, or a copy of the published one, which has these very views."""
    request, settings, file = run.request, run.request.settings, run.staging.build / "etl.duckdb"
    if sum(evidence.size for evidence in run.evidence) < _LITTLE:
        settings = settings.model_copy(update={"threads": 1})
    if run.base:
        clone_or_copy(request.project.warehouse, file)
        warehouse = Warehouse.take_over(settings, file)
    else:
        warehouse = Warehouse.create(request.sql, settings, file)
        # where no earlier run is known, the numbers in its row history mean nothing any more, so that it is left behind
        if last_published(run.history) is not None and request.project.warehouse.is_file():
            with PublishedWarehouse.open(request.project.warehouse, run.staging.build, _HISTORY_MEMORY) as published:
                hand_on(published, warehouse)
    request.fill_tables(warehouse)
    return warehouse


def _link_exports(run: _Prepared) -> None:
    """Give the files of reused stages a second name in the build."""
    for receipt in run.reused:
        for entry in receipt.outputs.files:
            if entry.bytes is not None:
                target = run.staging.build / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(run.request.project.root / entry.path, target)


def _keep_rows(run: _Prepared, warehouse: Warehouse) -> None:
    """Write down the state of each row, after those that the published warehouse knows."""
    keep_row_history(warehouse, run.recorder.header.seq, last_published(run.history))


# --- audit -------------------------------------------------------------------------------------------------------------


def _audit(run: _Prepared, warehouse: Warehouse | None) -> RunReport:
    """Hold the receipts against each other, compute drift, write all documents, and make everything durable.

    It is the last moment at which a run can fail.
    """
    history, staging, settings = run.history, run.staging, run.request.settings
    receipts = run.recorder.partial_run.closed(None, timestamp_of(run.request.clock))
    report = compose_report(history, run.request.sql, run.recorder.header, receipts, published=True)
    if warehouse:
        copy_receipts(history, warehouse, run.request.sql)
        forget_row_history(warehouse, settings.history_runs)
        keep_splits(warehouse)
        warehouse.finish(run.request.sql)
        write_known_rows(history, run.request.sql, staging.build / "receipts.arrow")
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
            run.staging, run.request.sql, run.history, run.recorder.partial_run, sentence_of(error), run.request.clock
        )
    except OSError:
        raise error from None
