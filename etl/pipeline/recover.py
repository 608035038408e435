"""Finishes what a cut run left: the rest is published, or the receipts of the run are written."""

from contextlib import closing

from pydantic import ValidationError

from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import Clock
from etl.pipeline.publish import finish, publish
from etl.pipeline.release.place import finish_cut_export
from etl.pipeline.staging import Building, Publishing, Staging
from etl.receipts.header import PartialRun, timestamp_of
from etl.receipts.report import RunReport, compose_report, write_report
from etl.receipts.store import load_history
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql

CUT = "The run was cut off before its end: its process was killed, or the machine stopped."


def recover(project: Project) -> str:
    """Finish what a cut run or export left, and return a sentence about it. Raises LockedError where a run is under way."""
    staging, nothing = Staging(project), "No run was cut; there is nothing to finish."
    if not project.staging.exists():
        return nothing
    with staging.hold():
        told = [finish_cut_run(staging, Settings()), finish_cut_export(project)]
        return " ".join(filter(None, told)) or nothing


def finish_cut_run(staging: Staging, settings: Settings) -> str | None:
    """Finish what a cut run left, if one did, and return a sentence about it. Call it while the root is held.

    What it takes of the machine follows from ``settings``, not from those of the cut run, which may have ended for want of it.

    Raises UsageError where the journal is damaged, or what lies there was not left by a run.
    """
    match staging.entry():
        case Publishing() as entry:
            finish(staging, entry)
            return f"Run {entry.run_id} was cut while it published: the rest is published now."
        case Building() as entry:
            sql = Sql.of(staging.project.overlay)
            with closing(load_history(staging.project, sql, _settings_of(entry.partial_run, settings))) as history:
                publish_documents(staging, sql, history, entry.partial_run, CUT, Clock())
            run_id = entry.partial_run.header.run_id
            return f"Run {run_id} was cut while it built: its receipts are written, and the published version is unchanged."
        case None:
            return None


def _settings_of(partial_run: PartialRun, here: Settings) -> Settings:
    """Return a run's settings within the limits that hold here; the defaults, if another version of this program had others."""
    try:
        recorded = Settings.from_recorded(partial_run.header.request.settings)
    except ValidationError:
        recorded = Settings()
    return recorded.model_copy(update={"memory_limit": here.memory_limit, "threads": here.threads})


def publish_documents(
    staging: Staging, sql: Sql, history: Warehouse, partial_run: PartialRun, failure: str, clock: Clock
) -> RunReport:
    """Write and publish the documents of a run that failed, and nothing else of it. Raises OSError."""
    receipts = partial_run.closed(failure, timestamp_of(clock))
    report = compose_report(history, sql, partial_run.header, receipts, published=False)
    staging.clear()
    write_report(report, staging.reports, history)
    publish(staging, Publishing(run_id=report.summary.run_id, exports=None))
    return report
