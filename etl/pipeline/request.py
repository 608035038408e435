"""What a run is asked for, and what it leaves."""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import Clock, Progress, Stage, show_nothing
from etl.ingest.holdout import Holdout, Reserved
from etl.ingest.known_paths import Manifest
from etl.pipeline.stages import STAGES
from etl.receipts.models import RunRequest, RunSummary
from etl.receipts.report import RunReport
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql


@dataclass(frozen=True)
class Request:
    """What the user asked for: where, with which settings, and which stages (all of them, unless some are named)."""

    project: Project
    settings: Settings
    known_paths: Manifest | None = None
    holdout: Holdout | None = None
    stages: tuple[Stage, ...] = STAGES
    clock: Clock = Clock()  # noqa: RUF009 - immutable
    progress: Progress = show_nothing
    fail_fast: bool = False
    force: bool = False
    rehash: bool = False

    @cached_property
    def sql(self) -> Sql:
        """The SQL of the root. Raises SqlError where a file of its overlay is misplaced or unreadable."""
        return Sql.of(self.project.overlay)

    def as_recorded(self) -> RunRequest:
        """Return the request as receipts record it."""
        return RunRequest(
            stages=[stage.name for stage in self.stages],
            evidence=self.project.relative(self.project.evidence),
            known_paths=self.project.relative(self.known_paths.file) if self.known_paths else None,
            holdout=self.project.relative(self.holdout.file) if self.holdout else None,
            settings=self.settings.recorded(),
            fail_fast=self.fail_fast,
            force=self.force,
            rehash=self.rehash,
        )

    def fill_tables(self, warehouse: Warehouse) -> None:
        """Put the known paths and the hold-out in place of those that the warehouse knows; none where no file is given."""
        paths = self.known_paths.paths if self.known_paths else ()
        warehouse.replace("policy.known_path", pa.table({"path": pa.array(paths, pa.string())}))
        columns = zip(*self.holdout.rows, strict=True) if self.holdout else ((), (), ())
        types = (pa.int64(), pa.string(), pa.string())
        reserved = dict(zip(Reserved._fields, map(pa.array, columns, types), strict=True))
        warehouse.replace("policy.holdout", pa.table(reserved))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: its documents, and the error that stopped it, if one did."""

    report: RunReport
    error: BaseException | None = None

    @property
    def summary(self) -> RunSummary:
        """The summary of the run."""
        return self.report.summary
