"""What a run leaves in its folder: receipts, drift report, a page for people, and the summary that binds them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl.base.files import write_text
from etl.base.markdown import inert, table
from etl.receipts.drift import drift_of, first_drift
from etl.receipts.header import RunHeader
from etl.receipts.models import DriftReport, Head, Named, RunSummary, StageReceipt, StageSummary, Stats, run_hash
from etl.receipts.store import SUMMARY, as_texts, forget, take_in
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql
from etl.warehouse.statements import read_sql

#: The page beside the folders of the runs.
LATEST = "latest.md"


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run's documents, and the texts of its files by name."""

    summary: RunSummary
    receipts: list[StageReceipt]
    drift: DriftReport
    texts: Mapping[str, str]

    @property
    def head(self) -> Head:
        """The head of the chain, if this run is the newest."""
        return Head(seq=self.summary.seq, run_id=self.summary.run_id, sha256=_sha256(self.texts[SUMMARY]))


def compose_report(history: Warehouse, sql: Sql, header: RunHeader, receipts: list[StageReceipt], published: bool) -> RunReport:
    """Return the documents of a run, and take them into ``history``.

    Drift is computed there, and the summary binds the drift report. So a provisional summary goes first and is replaced.
    """
    provisional = _summarise(header, receipts, published)
    forget(history, sql, header.run_id)
    take_in(history, sql.kept, as_texts([*receipts, provisional]))
    is_first = header.seq == 1 and not sql.replaced
    drift = first_drift(header.run_id, receipts) if is_first else drift_of(history, header.run_id)
    texts = {f"{receipt.stage}.json": receipt.to_json() for receipt in receipts}
    texts |= {"drift.json": drift.to_json(), "summary.md": summary_page(provisional, receipts, drift)}
    bound = [Named(path=name, sha256=_sha256(text)) for name, text in sorted(texts.items())]
    summary = provisional.model_copy(update={"documents": bound})
    history.execute("delete from receipts.run where run_id = ?", [header.run_id])
    take_in(history, [sql.view("receipts.run")], as_texts([summary]))
    return RunReport(summary, receipts, drift, texts | {SUMMARY: summary.to_json()})


def write_report(report: RunReport, reports: Path, history: Warehouse) -> None:
    """Write a run's folder below ``reports``, and beside it latest.md and the head of the chain."""
    folder = reports / report.summary.run_id
    folder.mkdir(parents=True)
    for name, text in report.texts.items():
        write_text(folder / name, text)
    write_text(reports / LATEST, latest_page(history))
    write_text(reports / "head", report.head.to_json())


def _summarise(header: RunHeader, receipts: Sequence[StageReceipt], published: bool) -> RunSummary:
    """Return the summary of a run from its receipts; it binds no document yet."""
    facts = header.model_dump(include={"run_id", "seq", "previous", "started_at", "request", "materials", "overlay"})
    return RunSummary.model_validate(facts | totals(receipts, published) | {"published": published, "documents": []})


def totals(receipts: Sequence[StageReceipt], published: bool) -> dict[str, object]:
    """Return all fields of a summary that follow from the receipts of its run."""
    stages = [StageSummary.of(receipt) for receipt in receipts]
    exports = {stage.name.removeprefix("export-"): stage for stage in stages if stage.name.startswith("export-")}
    facts: dict[str, object] = {
        f"total_{stat}": sum(getattr(stage.stats, stat) for stage in stages) for stat in Stats.model_fields
    }
    return facts | {
        "stages": stages,
        "datasets": {name: stage.stats.accepted for name, stage in exports.items()},
        "total_records_in": sum(stage.records_in for stage in stages),
        "total_records_out": sum(stage.records_out for stage in stages),
        "overall_passed": published and all(stage.passed for stage in stages),
        "run_hash": run_hash(receipts),
    }


def summary_page(summary: RunSummary, receipts: Sequence[StageReceipt], drift: DriftReport) -> str:
    """Return summary.md: what one run did, for people."""
    passed = "passed" if summary.overall_passed else "not passed"
    published = "published" if summary.published else "not published: the previous version stays"
    stages = [_stage_row(receipt) for receipt in receipts]
    outcomes = [item for receipt in receipts for item in receipt.outcomes.items()]
    blocks = [
        f"# Run {summary.run_id}",
        f"Run {summary.seq}, started at {summary.started_at}: {passed}, {published}.",
        table(("stage", "status", "in", *Stats.model_fields, "ms", "passed"), stages),
        *("## Reasons", table(("stage", "stat", "reason", "records"), _reason_rows(receipts))),
        *("## Outcomes of records at the pairing", table(("outcome", "records"), outcomes)),
        *(f"## Drift: {drift.severity}", "\n".join(f"- {inert(flag)}" for flag in drift.flags or ["nothing to say"])),
        *_message_blocks(receipts),
    ]
    return "\n\n".join(blocks) + "\n"


def _stage_row(receipt: StageReceipt) -> tuple[object, ...]:
    counts = (receipt.inputs.record_count, *dict(receipt.stats).values(), receipt.duration_ms)
    return (receipt.stage, receipt.status, *counts, "yes" if receipt.validation.passed else "no")


def _reason_rows(receipts: Sequence[StageReceipt]) -> list[tuple[object, ...]]:
    return [
        (receipt.stage, stat, reason, records)
        for receipt in receipts
        for stat, by_reason in receipt.counts_by_reason
        for reason, records in by_reason.items()
    ]


def _message_blocks(receipts: Sequence[StageReceipt]) -> Iterator[str]:
    """Yield the errors and the warnings of all stages, each with its heading, where there are any."""
    for heading, level in (("## Errors", "errors"), ("## Warnings", "warnings")):
        messages = [(receipt.stage, message) for receipt in receipts for message in getattr(receipt.validation, level)]
        if messages:
            yield heading
            yield "\n".join(f"- {inert(stage)}: {inert(message)}" for stage, message in messages)


def latest_page(history: Warehouse) -> str:
    """Return latest.md: each stage's most recent run, for people."""
    head = ("stage", "run", "status", "at (UTC)", "in", *Stats.model_fields, "passed")
    return f"# Each stage's most recent run\n\n{table(head, history.execute(read_sql(__file__, 'latest')))}\n"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
