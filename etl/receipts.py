"""The recorder: an observer that watches stages from outside and writes down what went in, what came out, and why.

Its facts come from row counts of relations and from the bytes on disk, never from the stage that made them.
"""

import hashlib
import platform
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import Field

from etl import __version__
from etl.documents import (
    CountsByReason,
    DatasetCounts,
    Document,
    Engine,
    FileEntry,
    Records,
    RunSummary,
    Side,
    StageReceipt,
    StageSummary,
    Stats,
    Status,
    Validation,
    run_hash,
)
from etl.errors import BooksError, StageError
from etl.files import sha256_of
from etl.history import store_stage
from etl.pipeline import KEY, STAGES, Stage
from etl.project import Project
from etl.run import Clock, Run
from etl.views import Sql
from etl.warehouse import Warehouse, duckdb_version

#: What is hashed of a relation, and in which order: the columns that make a row what it is.
RELATIONS = {
    "evidence.record": (("evidence_id",), KEY),
    "scored.run": (("evidence_id", "category", "rule"), KEY),
    "pairs.candidate": (
        ("chosen_evidence_id", "rejected_evidence_id", "chosen_category", "rejected_category", "fate"),
        "chosen_evidence_id, rejected_evidence_id",
    ),
}

STAGE_NAMES = tuple(stage.name for stage in STAGES)


class RunHeader(Document):
    """What is known of a run before its first stage; the same in all its receipts."""

    run_id: str
    seq: int
    previous: str | None
    started_at: str
    git_commit: str | None
    code_hash: str
    settings_hash: str
    engine: Engine

    def receipt(self, stage: str, status: Status, timestamp: str, **facts: object) -> StageReceipt:
        """Return a receipt of this run."""
        mine = self.model_dump(include={"run_id", "git_commit", "code_hash", "settings_hash", "engine"})
        return StageReceipt.model_validate(mine | {"stage": stage, "status": status, "timestamp": timestamp, **facts})


class Draft(Document):
    """What a run has recorded so far: enough to write its receipts if it is cut."""

    header: RunHeader
    started: str | None = None
    receipts: dict[str, StageReceipt] = Field(default_factory=dict)

    def closed(self, failure: str | None, timestamp: str) -> list[StageReceipt]:
        """Return one receipt per stage: what was recorded, the stage that failed, then those that were not run."""
        receipts = []
        for name in STAGE_NAMES:
            receipt = self.receipts.get(name)
            if failure is not None and name == self.started and (receipt is None or receipt.validation.passed):
                receipt = self._empty(name, "failed", Validation(passed=False, errors=[failure]), timestamp)
            receipts.append(receipt or self._empty(name, "not_run", Validation(passed=False), timestamp))
        return receipts

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


def new_header(project: Project, sql: Sql, settings_hash: str, history: Warehouse, clock: Clock) -> RunHeader:
    """Return the header of the run that comes after all of ``history``."""
    last = history.execute("select seq, summary_sha256 from receipts.run order by seq desc limit 1")
    seq, previous = (last[0][0] + 1, last[0][1]) if last else (1, None)
    return RunHeader(
        run_id=f"{clock.now():%Y%m%dT%H%M%SZ}-{seq:04d}",
        seq=seq,
        previous=previous,
        started_at=timestamp_of(clock),
        git_commit=_git_commit(project.root),
        code_hash=code_hash(sql),
        settings_hash=settings_hash,
        engine=Engine(etl=__version__, duckdb=duckdb_version(), python=platform.python_version()),
    )


def code_hash(sql: Sql) -> str:
    """Return the sha256 hex over every SQL file (the overlay's in place) and every module of the package."""
    package = Path(__file__).parent
    texts = {path: text.encode() for path, text in sql.files.items()}
    texts |= {f"etl/{file.relative_to(package).as_posix()}": file.read_bytes() for file in package.rglob("*.py")}
    digest = hashlib.sha256()
    for path in sorted(texts):
        for part in (path.encode(), texts[path]):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


@dataclass
class Recorder:
    """Watches one run; call it with a stage, around the stage's body.

    ``prior`` are the receipts of the published version, for stages that are carried over.
    """

    header: RunHeader
    run: Run
    history: Warehouse
    clock: Clock
    fail_fast: bool = False
    prior: dict[str, StageReceipt] = field(default_factory=dict)
    note: Callable[[Draft], None] = lambda _draft: None
    receipts: dict[str, StageReceipt] = field(default_factory=dict)
    started: str | None = None

    @property
    def draft(self) -> Draft:
        """What is recorded so far."""
        return Draft(header=self.header, started=self.started, receipts=self.receipts)

    @contextmanager
    def __call__(self, stage: Stage) -> Iterator[None]:
        """Record the stage that runs inside. Raises BooksError where its books do not balance."""
        self.started = stage.name
        self.note(self.draft)
        begin = self.clock.seconds()
        yield
        receipt = self._observed(stage, int((self.clock.seconds() - begin) * 1000))
        self._keep(receipt)
        self._require_balance()
        if self.fail_fast and not receipt.validation.passed:
            raise StageError(f"{stage.name}: {receipt.validation.errors[0]} Stopped there, as --fail-fast asks.")

    def carry_over(self) -> None:
        """Give the stages that were not run the receipts of the published version.

        Raises StageError where such a stage is stale: what it was made from, or what it would hold now, is another.
        """
        for name in STAGE_NAMES:
            if name not in self.receipts and name in self.prior:
                self.started = name
                self._keep(self._reused(self.prior[name]))
        self._require_one_version()
        self._require_balance()

    def _keep(self, receipt: StageReceipt) -> None:
        self.receipts[receipt.stage] = receipt
        store_stage(self.history, receipt, STAGE_NAMES.index(receipt.stage) + 1)

    def _observed(self, stage: Stage, duration_ms: int) -> StageReceipt:
        warehouse = self.run.warehouse
        book = warehouse.dicts("from receipts.book where stage = $stage", {"stage": stage.name})[0]
        reasons = warehouse.execute(
            "select stat, reason, records from receipts.book_reason where stage = $stage order by stat, reason",
            {"stage": stage.name},
        )
        by_reason: dict[str, dict[str, int]] = {"rejected": {}, "quarantined": {}, "skipped": {}}
        for stat, reason, records in reasons:
            by_reason[stat][reason] = records
        outputs = [*map(self._relation, stage.writes), *self._files(stage.exports)]
        shipped = outputs[0].record_count if stage.exports else book["accepted"]
        stats = Stats(
            accepted=shipped, rejected=book["rejected"], quarantined=book["quarantined"], skipped=book["skipped"]
        )
        fates = None
        if stage.name == "export-preference":
            by_fate = warehouse.execute("select fate, records from receipts.book_fate order by fate")
            fates = Records.model_validate(
                {"in": warehouse.one("select count(*) from scored.run"), "by_fate": dict(by_fate)}
            )
        inputs = [*map(self._relation, stage.reads)] if stage.reads else self._evidence_files()
        return self.header.receipt(
            stage.name,
            "ok",
            timestamp_of(self.clock),
            inputs=Side.of(inputs, book["records_in"]),
            outputs=Side.of(outputs, book["records_in"] if stage.name == "score" else shipped),
            stats=stats,
            counts_by_reason=CountsByReason(**by_reason),
            blank=book["blank"],
            records=fates,
            validation=self._loss() if stage.name == "collect" else Validation(passed=True),
            duration_ms=duration_ms,
        )

    def _reused(self, made: StageReceipt) -> StageReceipt:
        return made.model_copy(
            update={
                "run_id": self.header.run_id,
                "status": "reused",
                "timestamp": timestamp_of(self.clock),
                "duration_ms": 0,
                "made_by": made.made_by or made.run_id,
            }
        )

    def _relation(self, name: str) -> FileEntry:
        columns, order = RELATIONS[name]
        digest = hashlib.sha256()
        records = 0
        for batch in self.run.warehouse.batches(name, columns, order=order):
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            digest.update("".join("\x1f".join(row) + "\n" for row in rows).encode())
            records += batch.num_rows
        return FileEntry(path=name, sha256=digest.hexdigest(), bytes=None, record_count=records)

    def _files(self, stems: Sequence[str]) -> Iterator[FileEntry]:
        for stem in stems:
            for suffix in (".jsonl", ".parquet"):
                file = (self.run.exports / stem).with_suffix(suffix)
                yield FileEntry(
                    path=f"exports/{stem}{suffix}",
                    sha256=sha256_of(file),
                    bytes=file.stat().st_size,
                    record_count=_records_in(file),
                )

    def _evidence_files(self) -> list[FileEntry]:
        rows = self.run.warehouse.dicts(
            "select source_path as path, sha256, bytes, record_count from evidence.file order by source_path"
        )
        return [FileEntry.model_validate(row) for row in rows]

    def _loss(self) -> Validation:
        """Return collect's validation: a skipped line is a failure that is loud, and nothing is lost by it."""
        rows = self.run.warehouse.execute(
            "select source, reason, lines, first_at from evidence.loss order by source, reason"
        )
        errors = [
            f"{source}: {lines} skipped as {reason}, the first is {first_at}."
            for source, reason, lines, first_at in rows
        ]
        return Validation(passed=not errors, errors=errors)

    def _require_balance(self) -> None:
        broken = self.history.execute(
            "select stage, problem from receipts.imbalance where run_id = ? order by stage, problem",
            [self.header.run_id],
        )
        if broken:
            raise BooksError("The books do not balance: " + " ".join(problem for _, problem in broken))

    def _require_one_version(self) -> None:
        """Require one content per relation, and of a carried-over stage the book that its relations have now."""
        seen: dict[str, tuple[str, str | None]] = {}
        for name, receipt in self.receipts.items():
            for entry in (*receipt.inputs.files, *receipt.outputs.files):
                if entry.bytes is None and entry.path in RELATIONS:
                    stage, digest = seen.setdefault(entry.path, (name, entry.sha256))
                    if digest != entry.sha256:
                        self.started = name
                        raise StageError(
                            f"{name} and {stage} would not be of one version: {entry.path} has changed between them; "
                            "run both, or etl run-all."
                        )
        books = {row["stage"]: row for row in self.run.warehouse.dicts("from receipts.book")}
        for name, receipt in self.receipts.items():
            stats = receipt.stats.model_dump()
            if receipt.status == "reused" and any(books[name][stat] != stats[stat] for stat in stats):
                self.started = name
                raise StageError(
                    f"{name} was carried over, but with these settings it would hold other rows; run it too, or etl run-all."
                )


def summarise(header: RunHeader, receipts: Sequence[StageReceipt], published: bool) -> RunSummary:
    """Return the summary of a run from its receipts."""
    shipped = {receipt.stage.removeprefix("export-"): receipt.stats.accepted for receipt in receipts}
    return RunSummary(
        run_id=header.run_id,
        seq=header.seq,
        previous=header.previous,
        started_at=header.started_at,
        published=published,
        stages=[
            StageSummary(
                name=receipt.stage,
                status=receipt.status,
                records_in=receipt.inputs.record_count,
                records_out=receipt.outputs.record_count,
                stats=receipt.stats,
                inputs_hash=receipt.inputs.hash,
                outputs_hash=receipt.outputs.hash,
                passed=receipt.validation.passed,
            )
            for receipt in receipts
        ],
        datasets=DatasetCounts(rag=shipped["rag"], sft=shipped["sft"], preference=shipped["preference"]),
        total_records_in=sum(receipt.inputs.record_count for receipt in receipts),
        total_records_out=sum(receipt.outputs.record_count for receipt in receipts),
        total_accepted=sum(receipt.stats.accepted for receipt in receipts),
        total_rejected=sum(receipt.stats.rejected for receipt in receipts),
        total_quarantined=sum(receipt.stats.quarantined for receipt in receipts),
        total_skipped=sum(receipt.stats.skipped for receipt in receipts),
        overall_passed=published and all(receipt.validation.passed for receipt in receipts),
        run_hash=run_hash(receipts),
    )


def _records_in(file: Path) -> int:
    if file.suffix == ".parquet":
        return int(pq.read_metadata(file).num_rows)
    with file.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))


def timestamp_of(clock: Clock) -> str:
    """Return the clock's time as documents write it."""
    return f"{clock.now():%Y-%m-%dT%H:%M:%S.%fZ}"


def _git_commit(root: Path) -> str | None:
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
