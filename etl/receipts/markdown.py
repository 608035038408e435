"""The receipts as Markdown, for people."""

from collections.abc import Sequence

from etl.base.terminal import harmless
from etl.receipts.models import DriftReport, RunSummary, StageReceipt
from etl.warehouse.connection import Warehouse


def summary_page(summary: RunSummary, receipts: Sequence[StageReceipt], drift: DriftReport) -> str:
    """Return summary.md: what one run did."""
    passed = "passed" if summary.overall_passed else "not passed"
    published = "published" if summary.published else "not published: the previous version stays"
    lines = [
        f"# Run {summary.run_id}",
        "",
        f"Run {summary.seq}, started at {summary.started_at}: {passed}, {published}.",
        "",
        *_table(
            ("stage", "status", "in", "accepted", "rejected", "quarantined", "skipped", "ms", "passed"),
            [
                (
                    receipt.stage,
                    receipt.status,
                    receipt.inputs.record_count,
                    receipt.stats.accepted,
                    receipt.stats.rejected,
                    receipt.stats.quarantined,
                    receipt.stats.skipped,
                    receipt.duration_ms,
                    "yes" if receipt.validation.passed else "no",
                )
                for receipt in receipts
            ],
        ),
        "",
        "## Reasons",
        "",
        *_table(
            ("stage", "stat", "reason", "records"),
            [
                (receipt.stage, stat, reason, records)
                for receipt in receipts
                for stat, reasons in receipt.counts_by_reason.model_dump().items()
                for reason, records in reasons.items()
            ],
        ),
        "",
        "## Outcomes of records at the pairing",
        "",
        *_table(
            ("outcome", "records"),
            [item for receipt in receipts if receipt.records for item in receipt.records.by_outcome.items()],
        ),
        "",
        f"## Drift: {drift.severity}",
        "",
        *[f"- {_cell(flag)}" for flag in drift.flags or ["nothing to say"]],
        "",
    ]
    errors = [f"- {receipt.stage}: {_cell(error)}" for receipt in receipts for error in receipt.validation.errors]
    if errors:
        lines += ["## Errors", "", *errors, ""]
    return "\n".join(lines)


def latest_page(history: Warehouse) -> str:
    """Return latest.md: each stage's most recent run."""
    rows = history.execute(
        "select stage.stage, stage.run_id, stage.status, stage.recorded_at::varchar, stage.records_in, stage.accepted, "
        "stage.rejected, stage.quarantined, stage.skipped, case when stage.passed then 'yes' else 'no' end "
        "from receipts.stage as stage inner join receipts.run as run on stage.run_id = run.run_id "
        "where stage.status <> 'not_run' "
        "qualify row_number() over (partition by stage.stage order by run.seq desc) = 1 order by stage.position"
    )
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
