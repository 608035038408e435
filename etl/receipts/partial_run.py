"""What a run knows of itself: the header that its receipts share, what it has recorded so far, and its summary."""

import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import Field

from etl import __version__
from etl.base.datasets import DATASETS
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
    RunSummary,
    Side,
    StageReceipt,
    StageSummary,
    Stats,
    Status,
    Validation,
    run_hash,
)
from etl.receipts.store import read_head, summary_hash
from etl.warehouse.connection import Warehouse, duckdb_version
from etl.warehouse.lineage import Lineage, settings_hash
from etl.warehouse.sql_files import Sql, bundle_hash, lock_file


class RunHeader(Document):
    """What is known of a run before its first stage; ``settings_hashes`` holds one per stage, in their order."""

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

    def receipt(self, stage: str, status: Status, timestamp: str, **facts: object) -> StageReceipt:
        """Return a receipt of this run."""
        mine = self.model_dump(include={"run_id", "git_commit", "code_hash", "engine"})
        mine |= {"stage": stage, "status": status, "timestamp": timestamp, "settings_hash": self.settings_hashes[stage]}
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
            receipt = self.receipts.get(name)
            if failure is not None and name == self.started:
                receipt = self._failed(name, failure, timestamp)
            receipts.append(receipt or self._empty(name, "not_run", Validation(passed=False), timestamp))
        return receipts

    def _failed(self, name: str, failure: str, timestamp: str) -> StageReceipt:
        """Return the receipt of the stage that failed, with what was recorded of it, if anything was."""
        recorded = self.receipts.get(name)
        errors = [*recorded.validation.errors, failure] if recorded else [failure]
        validation = Validation(passed=False, errors=errors)
        if recorded:
            return recorded.model_copy(update={"status": "failed", "validation": validation})
        return self._empty(name, "failed", validation, timestamp)

    def _empty(self, stage: str, status: Status, validation: Validation, timestamp: str) -> StageReceipt:
        nothing = Side.of([], 0)
        return self.header.receipt(
            stage,
            status,
            timestamp,
            inputs=nothing,
            outputs=nothing,
            stats=Stats(),
            counts_by_reason=CountsByReason(),
            validation=validation,
            duration_ms=0,
        )


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
    return RunHeader(
        run_id=f"{clock.now():%Y%m%dT%H%M%SZ}-{seq:04d}",
        seq=seq,
        previous=previous,
        started_at=timestamp_of(clock),
        git_commit=_git_commit(project.root),
        code_hash=code_hash(sql),
        settings_hashes=_settings_hashes(settings, lineage, stages),
        engine=Engine(etl=__version__, duckdb=duckdb_version(), python=platform.python_version()),
        request=request,
        materials=_materials(sql),
    )


def _settings_hashes(settings: Settings, lineage: Lineage, stages: Sequence[Stage]) -> dict[str, str]:
    """Return, for each stage, the hash over the settings that can change what it makes."""
    return {
        stage.name: settings_hash(settings, lineage.settings_of(stage.relations, stage.dataset.name if stage.dataset else None))
        for stage in stages
    }


def code_hash(sql: Sql) -> str:
    """Return the sha256 hex over every SQL file (the overlay's in place) and every file of the package itself."""
    found = [*PACKAGE.rglob("*.py"), *(file for file in PACKAGE.rglob("*.sql") if PACKAGE / "sql" not in file.parents)]
    modules = {f"etl/{file.relative_to(PACKAGE).as_posix()}": file.read_bytes() for file in found}
    return bundle_hash({path: text.encode() for path, text in sql.files.items()} | modules)


def _materials(sql: Sql) -> list[Named]:
    found = [Named(path="sql", sha256=sql.sha256)]
    lock = lock_file()
    return [*found, Named(path=lock.name, sha256=sha256_of(lock))] if lock else found


def summarise(
    header: RunHeader, receipts: Sequence[StageReceipt], published: bool, documents: Iterable[Named] = ()
) -> RunSummary:
    """Return the summary of a run from its receipts; ``documents`` are the other files of its folder."""
    shipped = {receipt.stage: receipt.stats.accepted for receipt in receipts}
    return RunSummary(
        run_id=header.run_id,
        seq=header.seq,
        previous=header.previous,
        started_at=header.started_at,
        published=published,
        stages=[StageSummary.of(receipt) for receipt in receipts],
        datasets={dataset.name: shipped[dataset.stage] for dataset in DATASETS},
        total_records_in=sum(receipt.inputs.record_count for receipt in receipts),
        total_records_out=sum(receipt.outputs.record_count for receipt in receipts),
        total_accepted=sum(receipt.stats.accepted for receipt in receipts),
        total_rejected=sum(receipt.stats.rejected for receipt in receipts),
        total_quarantined=sum(receipt.stats.quarantined for receipt in receipts),
        total_skipped=sum(receipt.stats.skipped for receipt in receipts),
        overall_passed=published and all(receipt.validation.passed for receipt in receipts),
        run_hash=run_hash(receipts),
        request=header.request,
        materials=header.materials,
        documents=sorted(documents, key=lambda document: document.path),
    )


def timestamp_of(clock: Clock) -> str:
    """Return the clock's time as documents write it."""
    return clock.now().replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _git_commit(root: Path) -> str | None:
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
