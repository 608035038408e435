"""Examines whether a root is fit for a run, and in which state the last run left it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from etl import __version__
from etl.base.configuration import NAMES, Configuration
from etl.base.errors import EtlError
from etl.base.project import Project
from etl.base.settings import Settings, is_of_source
from etl.ingest.files import find_evidence
from etl.pipeline.obstacles import obstacles
from etl.pipeline.staging import Staging
from etl.receipts.models import Check
from etl.receipts.recorder import doubts
from etl.receipts.store import load_history
from etl.warehouse.connection import Warehouse, duckdb_version
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql

#: How much room a run needs, as a multiple of the evidence's bytes: for the warehouse and the exports beside the published
#: version. Measured at under 4 for unpacked evidence; compressed evidence needs more.
ROOM_PER_EVIDENCE = 4


class SettingInForce(Check):
    """A setting, its value (null: none), and where that comes from.

    ``origin`` is ``default``, ``etl.toml:LINE``, ``environment VARIABLE`` or ``flag FLAG``.
    """

    setting: str
    value: bool | int | float | str | None
    origin: str

    def __init__(self, setting: str, value: bool | float | str | None, origin: str) -> None:
        facts: dict[str, Any] = {"setting": setting, "value": value, "origin": origin}
        super().__init__(f"setting {setting}", "ok", f"{_shown(value)} ({origin})", **facts)

    @property
    def shown(self) -> str:
        """The value as it is set: true, false, null, or what it is."""
        return _shown(self.value)


def _shown(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def settings_in_force(project: Project, configuration: Configuration) -> list[SettingInForce]:
    """Return every setting with its value and where that comes from; those of sources come last."""
    values: dict[str, Any] = configuration.settings.recorded()
    values |= {"evidence": project.relative(project.evidence)}
    for name, file in (("known_paths", configuration.known_paths), ("holdout", configuration.holdout)):
        values[name] = file and project.relative(file)
    names = (*NAMES, *(name for name in values if is_of_source(name)))
    return [SettingInForce(name, values[name], str(configuration.origin(name))) for name in names]


def examine(project: Project, settings: Settings) -> list[Check]:
    """Return the findings in the order in which a run would meet them; what raises an error has failed."""
    findings = [Check("versions", "ok", f"etl {__version__}, duckdb {duckdb_version()}")]
    examinations = {
        "sql": _examine_sql(project, settings),
        "folders": _examine_folders(project),
        "evidence": _examine_evidence(project, settings),
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
    in_the_way = "failed"
    for name in ("warehouse", "exports", "reports"):
        folder, nearest = project.root / name, _nearest(project.root / name)
        if os.access(nearest, os.W_OK | os.X_OK):
            yield Check(name, "ok", f"{folder} can be written")
        else:
            in_the_way = "warn"  # where nothing can be written, nobody expects a run to publish
            yield Check(name, "warn", f"{nearest} cannot be written: commands that only read work here, but a run does not")
    found = [Check("publishing", in_the_way, sentence) for sentence in obstacles(project)]
    yield from found or [Check("publishing", "ok", "nothing is in the way")]


def _examine_evidence(project: Project, settings: Settings) -> Iterator[Check]:
    found = find_evidence(project.evidence, Sql.of(project.overlay), settings.follow_links)
    files = [file for file in found if not file.ignored_by]
    size = sum(file.size for file in files)
    yield Check("evidence", "ok" if files else "warn", f"{len(files)} files, {size:,} bytes in {project.evidence}")
    free, needed = shutil.disk_usage(_nearest(project.root)).free, ROOM_PER_EVIDENCE * size
    status, detail = "ok", f"a run needs about {needed:,}"
    if free < needed:
        status, detail = "warn", f"but a run may need {needed:,}; make room first"
    yield Check("space", status, f"{free:,} bytes are free, {detail}")


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
    status, detail = "warn", "nothing is published yet; publish with etl run-all"
    if project.warehouse.is_file():
        with PublishedWarehouse.open(project.warehouse) as warehouse:
            records = warehouse.one("select count(*) from evidence.stored_record")
            doubtful = doubts(warehouse)
        yield from (Check(what, "warn", sentence) for what, sentence in doubtful)
        status, detail = "ok", f"{records:,} records in {project.relative(project.warehouse)}"
    yield Check("published", status, detail)


def _examine_last_run(project: Project, settings: Settings) -> Iterator[Check]:
    last = "select run_id, published, overall_passed from receipts.run order by seq desc limit 1"
    status, detail = "ok", "there is no run yet"
    with closing(load_history(project, Sql.of(project.overlay), settings)) as history:
        for run_id, published, passed in history.execute(last):
            detail = f"{run_id} passed"
            if not passed:
                outcome = "published, but did not pass" if published else "did not publish"
                status, detail = "warn", f"{run_id} {outcome}; etl receipts {run_id} says why"
    yield Check("last run", status, detail)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())
