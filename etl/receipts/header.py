"""What is known of a run apart from its stages: its header, from before the first of them, and what a cut run leaves."""

import platform
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import Field

from etl import __version__
from etl.base.files import sha256_of
from etl.base.project import PACKAGE, Project
from etl.base.settings import Settings
from etl.context import Clock, Stage
from etl.receipts.models import (
    CountsByReason,
    Document,
    Engine,
    Named,
    RunId,
    RunRequest,
    Side,
    StageReceipt,
    Stats,
    Status,
    Validation,
)
from etl.receipts.store import read_head, summary_hash
from etl.warehouse.connection import Warehouse, duckdb_version
from etl.warehouse.lineage import Lineage, settings_hash
from etl.warehouse.sql_files import Sql, bundle_hash, lock_file

#: The schemas of the views that decide what ships. The others count and compare what was decided.
RULES = frozenset({"policy", "evidence", "scored", "pairs", "datasets"})


class RunHeader(Document):
    """What is known of a run before its first stage; ``settings_hashes`` holds one per stage, in their order.

    ``overlay`` are the files of an overlay that decide what its stages do.
    """

    run_id: RunId
    seq: int
    previous: str | None
    started_at: str
    git_commit: str | None
    code_hash: str
    settings_hashes: dict[str, str]
    engine: Engine
    request: RunRequest
    materials: list[Named]
    overlay: list[str] = Field(default_factory=list)

    def receipt(self, stage: str, status: Status, timestamp: str, **facts: object) -> StageReceipt:
        """Return a receipt of this run: of a stage that read and made nothing, unless ``facts`` say otherwise."""
        mine = self.model_dump(include={"run_id", "git_commit", "code_hash", "engine"})
        mine |= {"stage": stage, "status": status, "timestamp": timestamp, "settings_hash": self.settings_hashes[stage]}
        mine |= {"inputs": Side.of([], 0), "outputs": Side.of([], 0), "duration_ms": 0}
        mine |= {"stats": Stats(), "counts_by_reason": CountsByReason(), "validation": Validation(passed=False)}
        return StageReceipt.model_validate(mine | facts)


class PartialRun(Document):
    """What a run has recorded so far: enough to write its receipts if it is cut."""

    header: RunHeader
    started: str | None = None
    receipts: dict[str, StageReceipt] = Field(default_factory=dict)

    def closed(self, failure: str | None, timestamp: str) -> list[StageReceipt]:
        """Return one receipt per stage: what was recorded, the stage that failed, then those that were not run."""
        receipts = []
        for name in self.header.settings_hashes:
            receipt = self.receipts.get(name) or self.header.receipt(name, "not_run", timestamp)
            if failure is not None and name == self.started:
                validation = Validation(passed=False, errors=[*receipt.validation.errors, failure])
                receipt = receipt.model_copy(update={"status": "failed", "validation": validation})
            receipts.append(receipt)
        return receipts


def new_header(
    project: Project,
    sql: Sql,
    request: RunRequest,
    settings: Settings,
    history: Warehouse,
    lineage: Lineage,
    clock: Clock,
    stages: Sequence[Stage],
) -> RunHeader:
    """Return the header of the run that comes after all of ``history``."""
    last = history.execute("select seq, run_id from receipts.run order by seq desc limit 1")
    seq, previous = (last[0][0] + 1, summary_hash(project, history, last[0][1])) if last else (1, None)
    head = read_head(project)
    if head and head.seq >= seq:  # the documents of the newest runs are damaged or gone
        seq, previous = head.seq + 1, head.sha256
    lock = lock_file()
    return RunHeader(
        run_id=f"{clock.now():%Y%m%dT%H%M%SZ}-{seq:04d}",
        seq=seq,
        previous=previous,
        started_at=timestamp_of(clock),
        git_commit=_git_commit(project.root),
        code_hash=code_hash(sql),
        settings_hashes=settings_hashes(settings, stages, lineage),
        engine=engine(),
        request=request,
        materials=[Named(path="sql", sha256=sql.sha256), *([Named(path=lock.name, sha256=sha256_of(lock))] if lock else [])],
        overlay=deciding(sql, lineage.above(relation for stage in stages for relation in stage.relations)),
    )


def settings_hashes(settings: Settings, stages: Sequence[Stage], lineage: Lineage) -> dict[str, str]:
    """Return for each stage the hash of the settings that can change what it makes."""
    return {stage.name: settings_hash(settings, stage.settings(lineage)) for stage in stages}


def engine() -> Engine:
    """Return the versions of the programs that compute now."""
    return Engine(etl=__version__, duckdb=duckdb_version(), python=platform.python_version())


def code_hash(sql: Sql) -> str:
    """Return the sha256 hex over every SQL file (the overlay's in place) and every file of the package itself."""
    found = [*PACKAGE.rglob("*.py"), *(file for file in PACKAGE.rglob("*.sql") if PACKAGE / "sql" not in file.parents)]
    modules = {f"etl/{file.relative_to(PACKAGE).as_posix()}": file.read_bytes() for file in found}
    return bundle_hash({path: text.encode() for path, text in sql.files.items()} | modules)


def _git_commit(root: Path) -> str | None:
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def timestamp_of(clock: Clock) -> str:
    """Return the clock's time as documents write it."""
    return clock.now().replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def deciding(sql: Sql, relations: Collection[str]) -> list[str]:
    """Return the paths, sorted, of an overlay's files that replace the product's rules in these relations."""
    rules = {name: path for name, path in sql.replaced.items() if name == path or name.partition(".")[0] in RULES}
    return sorted(path for name, path in rules.items() if name == path or name in relations)
