"""One run from lock to publication: the only place where stages, recorder, drift and publishing meet."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from etl.documents import RunRequest, RunSummary, StageReceipt
from etl.dossier import Dossier, compose, write
from etl.errors import EtlError, NotFoundError, StageError, UsageError
from etl.evidence import find_evidence
from etl.export import audit_export
from etl.history import copy_receipts, load_history, newest, read_documents, require_pin
from etl.ledger import Draft, new_header, timestamp_of
from etl.pipeline import STAGES, Stage, run_all
from etl.project import Project
from etl.publish import Workshop, move_reports
from etl.receipts import Recorder
from etl.run import Clock, Progress, Run, silent
from etl.settings import Manifest, Settings
from etl.signals import ignore, interruptible
from etl.views import Sql
from etl.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for: where, with which settings, and which stages (all of them, unless some are named)."""

    project: Project
    settings: Settings
    known_paths: Manifest | None = None
    stages: tuple[Stage, ...] = STAGES
    clock: Clock = Clock()  # noqa: RUF009 - immutable
    progress: Progress = silent
    fail_fast: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: its documents, and the error that stopped it, if one did."""

    dossier: Dossier
    error: BaseException | None = None

    @property
    def summary(self) -> RunSummary:
        """The summary of the run."""
        return self.dossier.summary


def execute(request: Request) -> Outcome:
    """Run the stages aside, audit, and publish; a failed run leaves its receipts, and the previous version as it was.

    Raises UsageError before anything is touched; a later error is in the outcome. Once it is decided what is left behind,
    SIGINT and SIGTERM are ignored for the rest of the process.
    """
    project = request.project
    sql = Sql.of(project.overlay)
    if STAGES[0] in request.stages:
        find_evidence(project.evidence, request.settings.follow_links)
    workshop = Workshop(project)
    with interruptible(_nothing), workshop.held():
        workshop.recover(lambda entry: write_cut_run(project, entry))
        history = load_history(project, sql, request.settings, as_copy=True)
        try:
            require_pin(project, history)
            return _held_run(request, sql, workshop, history)
        finally:
            workshop.abandon()
            history.close()


def _nothing() -> None:
    """Interrupt nothing: before and after the stages no statement takes long."""


def _held_run(request: Request, sql: Sql, workshop: Workshop, history: Warehouse) -> Outcome:
    settings, clock = request.settings, request.clock
    header = new_header(request.project, sql, _request(request), settings.sha256(), history, clock)
    prior = {} if request.stages == STAGES else _published_receipts(request, history)
    workshop.clear()
    if prior:
        shutil.copyfile(request.project.warehouse, workshop.build / "etl.duckdb")
        _carry_exports(request.project.exports, workshop.build / "exports")
    warehouse = Warehouse.create(sql, settings, workshop.build / "etl.duckdb")
    if request.known_paths is not None:
        warehouse.replace("policy.known_path", pa.table({"path": pa.array(request.known_paths.paths, pa.string())}))
    else:
        warehouse.execute("truncate policy.known_path")
    if STAGES[0] in request.stages:
        for table in ("file", "record", "skipped"):
            warehouse.execute(f"truncate evidence.{table}")
    run = Run(request.project, settings, sql, warehouse, workshop.build / "exports", request.progress)
    recorder = Recorder(
        header,
        run,
        history,
        clock,
        fail_fast=request.fail_fast,
        prior=prior,
        note=lambda draft: workshop.note({"state": "building", "draft": draft.model_dump(mode="json", by_alias=True)}),
    )
    try:
        with interruptible(warehouse.interrupt):
            run_all(run, request.stages, recorder)
            recorder.carry_over()
            _audit_carried(run, request.stages)
            dossier = compose(history, header, recorder.draft.closed(None, timestamp_of(clock)), published=True)
            copy_receipts(history, warehouse)
            warehouse.finish(sql)
            write(dossier, workshop.build / "reports", history)
            workshop.prepare()
        ignore()  # too late: the run tells what it has published
        workshop.decide(header.run_id)
    except BaseException as error:
        ignore()
        warehouse.close()
        if workshop.is_decided:
            raise  # the next command finishes it
        try:
            failed = _write_failed(request.project, history, recorder.draft, _message(error), timestamp_of(clock))
        except OSError:
            raise error from None  # where not even receipts can be written, the first error is the one to tell
        return Outcome(failed, error)
    workshop.roll_forward()
    return Outcome(dossier)


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
    )


def foresee(request: Request) -> list[dict[str, Any]]:
    """Return the books that the stages would have, as rows of receipts.book, computed in memory; nothing is written."""
    sql = Sql.of(request.project.overlay)
    find_evidence(request.project.evidence)
    warehouse = Warehouse.create(sql, request.settings)
    try:
        if request.known_paths is not None:
            warehouse.replace("policy.known_path", pa.table({"path": pa.array(request.known_paths.paths, pa.string())}))
        run = Run(request.project, request.settings, sql, warehouse, Path(os.devnull), request.progress)
        run_all(run, tuple(stage for stage in STAGES if not stage.exports))
        books = {book["stage"]: book for book in warehouse.dicts("from receipts.book")}
        return [books[stage.name] for stage in request.stages]
    finally:
        warehouse.close()


def write_cut_run(project: Project, entry: dict[str, Any]) -> None:
    """Write the receipts of a run that was killed while it built, from its journal."""
    draft = Draft.model_validate(entry["draft"])
    if (project.reports / draft.header.run_id / "summary.json").is_file():
        # The folder comes whole; what belongs beside it was perhaps not moved in time, nor the journal removed.
        move_reports(Workshop(project).build / "failed", project.reports, draft.header.run_id)
        return
    sql = Sql.of(project.overlay)
    history = load_history(project, sql, Settings())
    try:
        message = "The run was cut off before its end: its process was killed, or the machine stopped."
        _write_failed(project, history, draft, message, timestamp_of(Clock()))
    finally:
        history.close()


def _write_failed(project: Project, history: Warehouse, draft: Draft, message: str, timestamp: str) -> Dossier:
    dossier = compose(history, draft.header, draft.closed(message, timestamp), published=False)
    built = Workshop(project).build / "failed"
    shutil.rmtree(built, ignore_errors=True)
    write(dossier, built, history)
    move_reports(built, project.reports, draft.header.run_id)
    return dossier


def _published_receipts(request: Request, history: Warehouse) -> dict[str, StageReceipt]:
    """Return the receipts of the published version by stage. Raises UsageError where it lacks a stage to carry over."""
    project = request.project
    if not project.warehouse.is_file():
        raise UsageError(f"{project.root}: nothing is published yet that could be carried over; use etl run-all.")
    try:
        run_id = newest(history, published=True)
        _, receipts = read_documents(project.reports / run_id)
    except (NotFoundError, OSError, ValueError) as error:
        raise UsageError(
            f"{project.reports}: the receipts of the published version cannot be read ({error}); use etl run-all."
        ) from None
    return {receipt.stage: receipt for receipt in receipts}


def _audit_carried(run: Run, stages: Sequence[Stage]) -> None:
    """Hold carried-over files against what their views say now: a version is one. Raises StageError where they differ."""
    for stage in STAGES:
        if stage.exports and stage not in stages:
            try:
                audit_export(run, stage.name.removeprefix("export-"))
            except StageError as error:
                raise StageError(
                    f"{stage.name} was carried over, but would be another now ({error}); run it too, or etl run-all."
                ) from error


def _carry_exports(published: Path, build: Path) -> None:
    """Link the published files into the build; what a stage writes anew takes the link's place."""
    for folder in ("rag", "sft", "preference", "quarantine"):
        for file in sorted((published / folder).glob("*")):
            (build / folder).mkdir(parents=True, exist_ok=True)
            os.link(file, build / folder / file.name)


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted."
    if isinstance(error, EtlError):
        return str(error)
    return f"{type(error).__name__}: {error}"
