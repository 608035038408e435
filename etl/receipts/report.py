"""What a run leaves in its folder: receipts, drift report, a page for people, and the summary that binds them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.base.files import write_text
from etl.receipts.drift import drift_of
from etl.receipts.markdown import latest_page, summary_page
from etl.receipts.models import DriftReport, Head, Named, RunSummary, StageReceipt
from etl.receipts.partial_run import RunHeader, summarise
from etl.receipts.store import SUMMARY, forget, path_of, take_in
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql


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
        sha256 = _sha256(self.texts[SUMMARY])
        return Head(seq=self.summary.seq, run_id=self.summary.run_id, sha256=sha256)


def compose_report(history: Warehouse, sql: Sql, header: RunHeader, receipts: list[StageReceipt], published: bool) -> RunReport:
    """Return the documents of a run, and take them into ``history``.

    Drift is computed there, and the summary binds the drift report. So a provisional summary goes first and is replaced.
    """
    provisional = summarise(header, receipts, published)
    texts = {f"{receipt.stage}.json": receipt.to_json() for receipt in receipts}
    forget(history, sql, header.run_id)
    arrived = {f"{header.run_id}/{name}": text for name, text in texts.items()}
    take_in(history, sql.kept, arrived | {path_of(provisional): provisional.to_json()})
    drift = drift_of(history, header.run_id)
    texts["drift.json"] = drift.to_json()
    texts["summary.md"] = summary_page(provisional, receipts, drift)
    bound = [Named(path=name, sha256=_sha256(text)) for name, text in texts.items()]
    summary = summarise(header, receipts, published, bound)
    texts[SUMMARY] = summary.to_json()
    history.execute("delete from receipts.run where run_id = ?", [header.run_id])
    take_in(history, [sql.view("receipts.run")], {path_of(summary): texts[SUMMARY]})
    return RunReport(summary, receipts, drift, texts)


def write_report(report: RunReport, reports: Path, history: Warehouse) -> None:
    """Write a run's folder below ``reports``, and beside it latest.md and the head of the chain."""
    folder = reports / report.summary.run_id
    folder.mkdir(parents=True)
    for name, text in report.texts.items():
        write_text(folder / name, text)
    write_text(reports / "latest.md", latest_page(history))
    write_text(reports / "head", report.head.to_json())


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
