"""Examines whether a root is fit for a run, and in which state the last run left it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from etl import __version__
from etl.base.errors import EtlError
from etl.base.project import Project
from etl.base.settings import Settings
from etl.ingest.files import find_evidence
from etl.pipeline.obstacles import obstacles
from etl.pipeline.staging import Staging
from etl.receipts.models import Check
from etl.receipts.store import load_history
from etl.warehouse.connection import Warehouse, duckdb_version
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql

#: How much room a run needs, as a multiple of the evidence's bytes: for the warehouse and the exports beside the published
#: version. Measured at under 4 for unpacked evidence; compressed evidence needs more.
ROOM_PER_EVIDENCE = 4


def examine(project: Project, settings: Settings) -> list[Check]:
    """Return the findings in the order in which a run would meet them; what raises an error has failed."""
    findings = [Check("versions", "ok", f"etl {__version__}, duckdb {duckdb_version()}")]
    examinations = {
        "sql": _examine_sql(project, settings),
        "folders": _examine_folders(project),
        "evidence": _examine_evidence(project),
        "lock": _examine_lock(project),
        "published": _examine_warehouse(project),
        "last run": _examine_last_run(project, settings),
    }
    for what, found in examinations.items():
        try:
            findings += found
        except EtlError as error:
            findings.append(Check(what, "failed", str(error)))
    return findings


def _examine_sql(project: Project, settings: Settings) -> Iterator[Check]:
    sql = Sql.of(project.overlay)
    Warehouse.create(sql, settings).close()
    yield Check("sql", "ok", f"{len(sql.views)} views, {len(sql.sources)} sources")


def _examine_folders(project: Project) -> Iterator[Check]:
    folders = [project.root / name for name in ("warehouse", "exports", "reports")]
    unwritable = [folder for folder in folders if not os.access(_nearest(folder), os.W_OK | os.X_OK)]
    for folder in folders:
        if folder in unwritable:
            detail = f"{_nearest(folder)} cannot be written: commands that only read work here, but a run does not"
            yield Check(folder.name, "warn", detail)
        else:
            yield Check(folder.name, "ok", f"{folder} can be written")
    status = "warn" if unwritable else "failed"  # where nothing can be written, nobody expects a run to publish
    in_the_way = [Check("publishing", status, sentence) for sentence in obstacles(project)]
    yield from in_the_way or [Check("publishing", "ok", "nothing is in the way")]


def _examine_evidence(project: Project) -> Iterator[Check]:
    files = find_evidence(project.evidence)
    size = sum(file.size for file in files)
    yield Check("evidence", "ok" if files else "warn", f"{len(files)} files, {size:,} bytes in {project.evidence}")
    free, needed = shutil.disk_usage(_nearest(project.root)).free, ROOM_PER_EVIDENCE * size
    if free < needed:
        yield Check("space", "warn", f"{free:,} bytes are free, but a run may need {needed:,}; make room first")
    else:
        yield Check("space", "ok", f"{free:,} bytes are free, a run needs about {needed:,}")


def _examine_lock(project: Project) -> Iterator[Check]:
    staging = Staging(project)
    cut = staging.cut_run()
    if staging.is_held():
        yield Check("lock", "warn", "a run is under way; wait for it to end")
    elif cut:
        yield Check("journal", "warn", cut)
    else:
        yield Check("lock", "ok", "no run is under way, and none was cut")


def _examine_warehouse(project: Project) -> Iterator[Check]:
    if project.warehouse.is_file():
        with PublishedWarehouse.open(project.warehouse) as warehouse:
            records = warehouse.one("select count(*) from evidence.record")
        yield Check("published", "ok", f"{records:,} records in {project.relative(project.warehouse)}")
    else:
        yield Check("published", "warn", "nothing is published yet; publish with etl run-all")


def _examine_last_run(project: Project, settings: Settings) -> Iterator[Check]:
    last = "select run_id, published, overall_passed from receipts.run order by seq desc limit 1"
    with closing(load_history(project, Sql.of(project.overlay), settings)) as history:
        rows = history.execute(last)
    if not rows:
        yield Check("last run", "ok", "there is no run yet")
    for run_id, published, passed in rows:
        outcome = "published, but did not pass" if published else "did not publish"
        if passed:
            yield Check("last run", "ok", f"{run_id} passed")
        else:
            yield Check("last run", "warn", f"{run_id} {outcome}; etl receipts {run_id} says why")


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())
