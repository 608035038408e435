"""What one run works on: handed from stage to stage, changed by none."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from etl.evidence import EvidenceFile
from etl.lineage import Lineage
from etl.project import Project
from etl.settings import Settings
from etl.views import Sql
from etl.warehouse import Warehouse

#: Makes durable what a stage wrote, reads it back, and audits it. Raises FirewallError or AuditError where the bytes are wrong.
Proof = Callable[[], object]

#: Called with the name of what goes on, how much of it is done, and how much there is (bytes or rows).
Progress = Callable[[str, int, int], None]


def silent(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True)
class Run:
    """The inputs of a run, and the warehouse and folder that it builds aside.

    ``evidence`` are the files of the evidence folder, where they have been looked for already. Those named in
    ``untouched`` are in the warehouse, which is a copy of the published one, as they are on disk. ``lineage`` is that of
    the warehouse's views, where it is known.
    """

    project: Project
    settings: Settings
    sql: Sql
    warehouse: Warehouse
    exports: Path
    progress: Progress = silent
    evidence: tuple[EvidenceFile, ...] | None = None
    untouched: frozenset[str] = frozenset()
    lineage: Lineage | None = None

    def beside(self) -> "Run":
        """Return the same run for another thread: it sees the same warehouse through a cursor of its own."""
        return replace(self, warehouse=self.warehouse.cursor())


@dataclass(frozen=True, slots=True)
class Clock:
    """The receipts' clock; pinned, it stands still, and so durations are zero."""

    pinned: datetime | None = None

    def now(self) -> datetime:
        """Return the time in UTC."""
        return self.pinned or datetime.now(UTC)

    def seconds(self) -> float:
        """Return a reading to take durations between."""
        return 0.0 if self.pinned else monotonic()
