"""The receipts as Markdown, for people."""

from collections.abc import Sequence

from etl.base.terminal import harmless
from etl.receipts.models import DriftReport, RunSummary, StageReceipt
from etl.warehouse.connection import Warehouse
from etl.warehouse.statements import read_sql


def summary_page(summary: RunSummary, receipts: Sequence[StageReceipt], drift: DriftReport) -> str:
    """Return summary.md: what one run did."""
    passed = "passed" if summary.overall_passed else "not passed"
    published = "published" if summary.published else "not published: the previous version stays"
    errors = _errors(receipts)
    sections = {
        f"# Run {summary.run_id}": [f"Run {summary.seq}, started at {summary.started_at}: {passed}, {published}."],
        "": _stages_table(receipts),
        "## Reasons": _reasons_table(receipts),
        "## Outcomes of records at the pairing": _outcomes_table(receipts),
        f"## Drift: {drift.severity}": [f"- {_cell(flag)}" for flag in drift.flags or ["nothing to say"]],
        **({"## Errors": errors} if errors else {}),
    }
    return "\n".join(line for head, lines in sections.items() for line in (*([head, ""] if head else []), *lines, ""))


def _stages_table(receipts: Sequence[StageReceipt]) -> list[str]:
    stats = ("accepted", "rejected", "quarantined", "skipped")
    rows = [
        (
            receipt.stage,
            receipt.status,
            receipt.inputs.record_count,
            *(getattr(receipt.stats, stat) for stat in stats),
            receipt.duration_ms,
            "yes" if receipt.validation.passed else "no",
        )
        for receipt in receipts
    ]
    return _table(("stage", "status", "in", *stats, "ms", "passed"), rows)


def _outcomes_table(receipts: Sequence[StageReceipt]) -> list[str]:
    rows = [item for receipt in receipts if receipt.records for item in receipt.records.by_outcome.items()]
    return _table(("outcome", "records"), rows)


def _errors(receipts: Sequence[StageReceipt]) -> list[str]:
    return [f"- {receipt.stage}: {_cell(error)}" for receipt in receipts for error in receipt.validation.errors]


def _reasons_table(receipts: Sequence[StageReceipt]) -> list[str]:
    rows = [
        (receipt.stage, stat, reason, records)
        for receipt in receipts
        for stat, reasons in receipt.counts_by_reason.model_dump().items()
        for reason, records in reasons.items()
    ]
    return _table(("stage", "stat", "reason", "records"), rows)


def latest_page(history: Warehouse) -> str:
    """Return latest.md: each stage's most recent run."""
    rows = history.execute(read_sql(__file__, "latest"))
    head = ("stage", "run", "status", "at (UTC)", "in", "accepted", "rejected", "quarantined", "skipped", "passed")
    return "\n".join(["# Each stage's most recent run", "", *_table(head, rows), ""])


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    if not rows:
        return ["None."]
    numbers = [isinstance(cell, int) for cell in rows[0]]
    return [
        "| " + " | ".join(head) + " |",
        "|" + "|".join("---:" if is_number else "---" for is_number in numbers) + "|",
        *["| " + " | ".join(_cell(str(cell)) for cell in row) + " |" for row in rows],
    ]


def _cell(text: str) -> str:
    return harmless(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
