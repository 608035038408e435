"""The recorder watches stages from outside and writes down what went in, what came out, and why.

Its facts come from row counts of relations and from the bytes on disk, never from the stage that made them. What measures them
is imported then: a run in which nothing changed needs none of it.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from etl.base.datasets import exported_files
from etl.base.errors import StageError
from etl.base.terminal import short, short_place
from etl.base.threads import run_together
from etl.context import Clock, Observer, Run, Stage
from etl.receipts.header import PartialRun, RunHeader, deciding, timestamp_of
from etl.receipts.models import (
    UNBALANCED,
    CountsByReason,
    FileEntry,
    Files,
    Grades,
    HoldoutMatches,
    Items,
    Records,
    Side,
    Splits,
    StageReceipt,
    Stats,
    Validation,
)
from etl.receipts.store import as_texts, take_in
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage
from etl.warehouse.sql_files import Sql
from etl.warehouse.statements import read_sql

#: The columns of a relation that are hashed, and in which order: those that decide what a row is.
RELATIONS = {
    "evidence.record": (("evidence_id",), "source_path, item_number, record_number"),
    "scored.run": (("evidence_id", "category", "rule"), "source_path, item_number, record_number"),
    "pairs.candidate": (
        ("chosen_evidence_id", "rejected_evidence_id", "chosen_category", "rejected_category", "outcome"),
        "chosen_evidence_id, rejected_evidence_id",
    ),
}


@dataclass
class Recorder:
    """Records one run; :meth:`observer` returns the observer of its stages, of which two may be under way at once.

    ``carried`` are the paths of files that were not read: their hashes are an earlier run's. ``intact`` are the entries of
    published files that are as an earlier run's receipts say, by their inodes: what is a second name of one has its hash.
    """

    header: RunHeader
    history: Warehouse
    sql: Sql
    lineage: Lineage
    clock: Clock
    carried: frozenset[str]
    intact: Mapping[int, FileEntry]
    fail_fast: bool
    note: Callable[[PartialRun], None]
    receipts: dict[str, StageReceipt] = field(default_factory=dict)
    _begun: list[str] = field(default_factory=list)
    _ended: set[str] = field(default_factory=set)
    _noting: Lock = field(default_factory=Lock)

    @property
    def partial_run(self) -> PartialRun:
        """What is recorded so far. A failure is that of the first stage that has begun and not ended, else of the last one."""
        under_way = [stage for stage in self._begun if stage not in self._ended]
        started = next(iter(under_way or self._begun[-1:]), None)
        return PartialRun(header=self.header, started=started, receipts=dict(self.receipts))

    def begin(self, stage: str) -> None:
        """Record that a stage begins."""
        with self._noting:
            self._begun.append(stage)
            self.note(self.partial_run)

    def carry_over(self, published: Sequence[StageReceipt]) -> None:
        """Record reused stages, with the receipts of the published run; they come before the others."""
        for made in published:
            # a failure here is this stage's, not that of the first stage to run, which has not begun yet
            self._begun = [made.stage]
            self.receipts[made.stage] = made.reused(self.header.run_id, timestamp_of(self.clock), self.carried)
            self._require_passed(self.receipts[made.stage])
            self._ended.add(made.stage)
        take_in(self.history, self.sql.kept, as_texts(self.receipts.values()))
        self.note(self.partial_run)

    def observer(self, run: Run) -> Observer:
        """Return the observer that records a run's stages; it raises StageError where a stage's counts do not add up."""
        meter = StageMeter(self.header, run.beside(), self.lineage, self.carried, self.intact)
        above = self.lineage.above(["receipts.unbalanced"])
        books = [view for view in self.sql.kept if view.qualified in above]  # the others are filled when the run ends

        @contextmanager
        def observe(stage: Stage) -> Iterator[None]:
            self.begin(stage.name)
            begin = self.clock.seconds()
            yield
            # it ends when it is proven, while the next stage runs: durations add up to more than the run takes
            duration_ms = int((self.clock.seconds() - begin) * 1000)
            receipt = meter.receipt(stage, timestamp_of(self.clock), duration_ms)
            self.receipts[stage.name] = receipt
            take_in(self.history, books, as_texts([receipt]))
            problems = "select problem from receipts.unbalanced where run_id = ? order by stage, problem"
            broken = self.history.execute(problems, [receipt.run_id])
            if broken:
                raise StageError(f"{UNBALANCED} " + " ".join(problem for (problem,) in broken))
            self._require_passed(receipt)
            with self._noting:
                self._ended.add(stage.name)
                self.note(self.partial_run)

        return observe

    def _require_passed(self, receipt: StageReceipt) -> None:
        if self.fail_fast and not receipt.validation.passed:
            raise StageError(f"{receipt.stage}: lines were skipped, and --fail-fast stops there; etl receipts shows which.")


@dataclass
class StageMeter:
    """Measures what a stage read and made: counts and hashes relations, and the files on disk."""

    header: RunHeader
    run: Run
    lineage: Lineage
    carried: frozenset[str]
    intact: Mapping[int, FileEntry]
    _relations: dict[str, FileEntry] = field(default_factory=dict)

    def receipt(self, stage: Stage, timestamp: str, duration_ms: int) -> StageReceipt:
        """Return the receipt of a stage that has done its work."""
        counts = self._counts(stage)
        total = {stat: sum(reasons.values()) for stat, reasons in counts.items()}
        outputs = [*map(self._relation, stage.writes), *self._written_files(stage)]
        shipped = total.get("accepted", 0)
        if stage.dataset:
            stem = f"exports/{stage.dataset.stem}"
            shipped = sum(file.record_count for file in outputs if file.path.startswith(stem) and file.path.endswith(".jsonl"))
        inputs = [*map(self._relation, stage.reads)] if stage.reads else self._evidence_files()
        return self.header.receipt(
            stage.name,
            "ok",
            timestamp,
            inputs=Side.of(inputs, total["in"]),
            outputs=Side.of(outputs, shipped if stage.dataset else outputs[0].record_count),
            stats={stat: total.get(stat, 0) for stat in Stats.model_fields} | {"accepted": shipped},
            counts_by_reason={stat: counts.get(stat, {}) for stat in CountsByReason.model_fields},
            blank=total.get("blank", 0),
            **(self._collected() if stage.name == "collect" else {"records": self._outcomes(stage)}),
            **(self._scored() if stage.name == "score" else {"splits": self._splits(stage)}),
            validation=self._validation(stage),
            duration_ms=duration_ms,
        )

    def _counts(self, stage: Stage) -> dict[str, dict[str, int]]:
        """Return how many rows went in, and what became of them by stat and reason."""
        statement = f"select stat, coalesce(reason, ''), records from {stage.counts} where stage = $stage order by all"
        counts: dict[str, dict[str, int]] = {}
        for stat, reason, records in self.run.warehouse.execute(statement, {"stage": stage.name}):
            counts.setdefault(stat, {})[reason] = records
        if "in" not in counts:
            raise StageError(f"{stage.name}: {stage.counts} does not count it; policy.dataset must name each dataset.")
        return counts

    def _outcomes(self, stage: Stage) -> Records | None:
        """Return the outcomes of records, for a stage that exports pairs."""
        if not stage.dataset or stage.dataset.grain == "record":
            return None
        outcomes = "select outcome, records from receipts.outcome_count where stage = $stage order by outcome"
        by_outcome = dict(self.run.warehouse.execute(outcomes, {"stage": stage.name}))
        scored = self.run.warehouse.one("select count(*) from scored.run")
        return Records.model_validate({"in": scored, "by_outcome": by_outcome})

    def _splits(self, stage: Stage) -> Splits | None:
        """Return how many rows of a dataset ship on each side of the split, for a stage that exports one."""
        if not stage.dataset:
            return None
        counts = f"select split, records, moved from {stage.dataset.splits} where stage = $stage"
        rows = self.run.warehouse.execute(counts, {"stage": stage.name})
        by_split = {split: records for split, records, _ in rows}
        return Splits.model_validate(by_split | {"moved": sum(moved for *_, moved in rows)})

    def _scored(self) -> dict[str, Any]:
        """Return how many grades meet one attempt, several or none, and what the hold-out reserves, if there is one."""
        warehouse = self.run.warehouse
        by_outcome = warehouse.execute("select outcome, count(*) from scored.grade group by outcome")
        found: dict[str, Any] = {"grades": Grades.model_validate(dict(by_outcome))}
        if self.run.settings.holdout_sha256:
            lines = warehouse.execute("select line, tasks from scored.holdout_match order by line")
            unmatched = [line for line, tasks in lines if not tasks]
            records = warehouse.one("select count(*) from scored.eligibility where defect = 'reserved_task'")
            found["holdout"] = HoldoutMatches(matched=len(lines) - len(unmatched), unmatched=unmatched, records=records)
        return found

    def _relation(self, name: str) -> FileEntry:
        """Return the entry of a relation. It is hashed once, because no stage changes what an earlier one made."""
        if name not in self._relations:
            columns, order = RELATIONS[name]
            digest = hashlib.sha256()
            records = 0
            for batch in self.run.warehouse.batches(name, columns, order=order):
                digest.update(_lines(batch))
                records += batch.num_rows
            self._relations[name] = FileEntry(path=name, sha256=digest.hexdigest(), bytes=None, record_count=records)
        return self._relations[name]

    def _written_files(self, stage: Stage) -> list[FileEntry]:
        """Return the entries of the files that a stage wrote."""
        exports = self.run.exports
        files = [file for stem in stage.exports for file in exported_files(exports, stem)]
        return run_together(lambda file: self._written_file(file, f"exports/{file.relative_to(exports).as_posix()}"), files)

    def _written_file(self, file: Path, path: str) -> FileEntry:
        from etl.receipts.measure import measure

        known = self.intact.get(file.stat().st_ino)
        return known.model_copy(update={"path": path, "carried": known.path in self.carried}) if known else measure(file, path)

    def _evidence_files(self) -> list[FileEntry]:
        """Return the entries of the files of evidence, and of .etlignore, which decides what is read."""
        files = "select source_path as path, sha256, bytes, record_count from evidence.file"
        rows = self.run.warehouse.dicts(f"{files} where ignored_by is null or sha256 is not null")
        return [FileEntry.model_validate(row | {"carried": row["path"] in self.carried}) for row in rows]

    def _collected(self) -> dict[str, Any]:
        """Return what became of the items, how many records they gave, and how many files each rule ignores."""
        (items,) = self.run.warehouse.dicts("from receipts.item_count")
        records = items.pop("records")
        return {"items": Items.model_validate(items), "records": records, "files": self._files_by_rule()}

    def _files_by_rule(self) -> Files:
        counts = dict(self.run.warehouse.execute("select ignored_by, count(*) from evidence.file group by all order by all"))
        members = dict(self.run.warehouse.execute(read_sql(__file__, "ignored_members")))
        return Files(read=counts.pop(None, 0), ignored=counts, ignored_members=members)

    def _validation(self, stage: Stage) -> Validation:
        """Return the validation: with a skipped line collect does not pass, although nothing is lost; score warns of words.

        Every stage warns of the files of an overlay that decide what it does.
        """
        errors, warnings = [], []
        if stage.name == "collect":
            summary = "select source, reason, lines, first_at from evidence.skipped_summary order by source, reason"
            for source, reason, lines, first_at in self.run.warehouse.execute(summary):
                path, _, item = first_at.rpartition(":")
                errors.append(f"{short(source)}: {lines} skipped as {reason}, the first is {short_place(path, item)}.")
        if stage.name == "score":
            warnings = [sentence for _, sentence in doubts(self.run.warehouse)]
        if decided := deciding(self.run.sql, self.lineage.above(stage.relations)):
            warnings.append(f"The overlay decides here, by {', '.join(decided)}.")
        return Validation(passed=not errors, errors=errors, warnings=warnings)


def doubts(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Return sentences about what score could not use.

    They are about ``verdicts`` that policy.verdict does not list, ``grades`` that do not meet one attempt, and lines of the
    ``holdout`` that name no task.
    """
    statements = {"verdicts": "unknown_verdict", "grades": "unclear_grade", "holdout": "unmatched_holdout"}
    return [
        (what, sentence) for what, name in statements.items() for (sentence,) in warehouse.execute(read_sql(__file__, name))
    ]


def _lines(rows: pa.RecordBatch) -> pa.Buffer:
    """Return a line of text per row: its cells joined by 0x1F, a null as an empty cell, and a line feed."""
    import pyarrow.compute as pc

    cells = pc.binary_join_element_wise(*rows.columns, "\x1f", null_handling="replace", null_replacement="")
    ended = pc.binary_join_element_wise(cells, "\n", "")
    whole = pa.ListArray.from_arrays(pa.array([0, len(ended)], pa.int32()), ended)
    return pc.binary_join(whole, "")[0].as_buffer()
