"""Tells whether a root is fit for a run, and in what state the last one left it."""

import os
import shutil
from collections.abc import Iterator
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

#: A run needs room for the warehouse, the JSONL and the Parquet beside the published version: measured at under 4 times
#: the unpacked evidence; compressed evidence needs more.
ROOM_PER_EVIDENCE = 4


def examine(project: Project, settings: Settings) -> list[Check]:
    """Return the findings, worst last within none: in the order in which a run would meet them."""
    return [
        Check("versions", "ok", f"etl {__version__}, duckdb {duckdb_version()}"),
        _sql(project, settings),
        *_folders(project),
        *_evidence(project),
        *_state(project),
        _warehouse(project),
        _last_run(project, settings),
    ]


def _sql(project: Project, settings: Settings) -> Check:
    try:
        sql = Sql.of(project.overlay)
        Warehouse.create(sql, settings).close()
    except EtlError as error:
        return Check("sql", "failed", str(error))
    return Check("sql", "ok", f"{len(sql.views)} views, {len(sql.sources)} sources")


def _folders(project: Project) -> Iterator[Check]:
    are_writable = True
    for name in ("warehouse", "exports", "reports"):
        folder = project.root / name
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if os.access(there, os.W_OK | os.X_OK):
            yield Check(name, "ok", f"{folder} can be written")
        else:
            are_writable = False
            yield Check(name, "warn", f"{there} cannot be written: commands that only look work here, a run does not")
    if are_writable:
        found = list(obstacles(project))
        yield from (Check("publishing", "failed", sentence) for sentence in found)
        if not found:
            yield Check("publishing", "ok", "nothing is in the way")


def _evidence(project: Project) -> Iterator[Check]:
    try:
        files = find_evidence(project.evidence)
    except EtlError as error:
        yield Check("evidence", "failed", str(error))
        return
    size = sum(file.size for file in files)
    yield Check("evidence", "ok" if files else "warn", f"{len(files)} files, {size:,} bytes in {project.evidence}")
    there = next(place for place in (project.root, *project.root.parents) if place.exists())
    free, needed = shutil.disk_usage(there).free, ROOM_PER_EVIDENCE * size
    if free < needed:
        yield Check("space", "warn", f"{free:,} bytes are free, a run may need {needed:,}; make room first")
    else:
        yield Check("space", "ok", f"{free:,} bytes are free, a run needs about {needed:,}")


def _state(project: Project) -> Iterator[Check]:
    staging = Staging(project)
    cut = staging.cut_run()
    if staging.is_held():
        yield Check("lock", "warn", "a run is under way; wait for it to end")
    elif cut:
        yield Check("journal", "warn", cut)
    else:
        yield Check("lock", "ok", "no run is under way, and none was cut")


def _warehouse(project: Project) -> Check:
    if not project.warehouse.is_file():
        return Check("published", "warn", "nothing is published yet; etl run-all does it")
    try:
        with PublishedWarehouse.open(project.warehouse) as warehouse:
            records = warehouse.one("select count(*) from evidence.record")
    except EtlError as error:
        return Check("published", "failed", str(error))
    return Check("published", "ok", f"{records:,} records in {_relative(project.warehouse, project.root)}")


def _last_run(project: Project, settings: Settings) -> Check:
    try:
        history = load_history(project, Sql.of(project.overlay), settings)
    except EtlError as error:
        return Check("last run", "failed", str(error))
    rows = history.execute("select run_id, published, overall_passed from receipts.run order by seq desc limit 1")
    history.close()
    if not rows:
        return Check("last run", "ok", "there was none yet")
    run_id, published, passed = rows[0]
    if passed:
        return Check("last run", "ok", f"{run_id} passed")
    outcome = "published, but did not pass" if published else "did not publish"
    return Check("last run", "warn", f"{run_id} {outcome}; etl receipts {run_id} says why")


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
