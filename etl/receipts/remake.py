"""Makes again what this program wrote of a run beside its receipts: drift, pages, and what the SQL says of settings.

All of it follows from the documents, but by views and by rules for pages, which differ from version to version. So it is made
again only for runs whose documents this very program, SQL and engine wrote.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

import pyarrow as pa
from pydantic import ValidationError

from etl.base.settings import Settings
from etl.context import Stage
from etl.receipts.agreement import DRIFT, PAGE, Claim, RunDocuments, unlike
from etl.receipts.drift import drift_reports
from etl.receipts.header import code_hash, deciding, engine, settings_hashes
from etl.receipts.models import DriftReport, Named
from etl.receipts.report import latest_page, summary_page
from etl.receipts.store import SUMMARY, set_baseline
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage
from etl.warehouse.sql_files import Sql


class Remaker:
    """Makes documents again from ``history``, which must have been read from the documents alone."""

    def __init__(self, history: Warehouse, sql: Sql, stages: Sequence[Stage]) -> None:
        self._history, self._sql, self._stages = history, sql, stages
        self._lineage, self._program = Lineage.of(history), (code_hash(sql), engine())
        self._overlay = deciding(sql, self._lineage.above(name for stage in stages for name in stage.relations))
        set_baseline(history, None)
        self._prior = dict(history.execute("select run_id, prior_run_id from drift.baseline"))
        self._reports: dict[tuple[Settings, str | None], Mapping[str, DriftReport]] = {}

    def wrote(self, run: RunDocuments) -> bool:
        """Return whether this program, with this SQL and engine, wrote the documents of a run."""
        return all((receipt.code_hash, receipt.engine) == self._program for receipt in run.receipts.values())

    def latest_page(self) -> str:
        """Return latest.md."""
        return latest_page(self._history)

    def differences(self, run: RunDocuments) -> Iterator[Claim]:
        """Yield each field that is not as it is made again, in the documents of a run that this program wrote."""
        summary = run.summary
        try:
            settings = Settings.from_recorded(summary.request.settings)
        except ValidationError:
            yield Claim(SUMMARY, "request.settings", "not what a run can have", "other settings", "this program")
            return
        request = summary.request.model_copy(update={"settings": settings.recorded()})
        materials = [Named(path="sql", sha256=self._sql.sha256), *summary.materials[1:]]
        follows = summary.model_copy(update={"request": request, "materials": materials, "overlay": self._overlay})
        yield from unlike(SUMMARY, summary, follows, "this program")
        names = [stage.name for stage in self._stages]
        if list(run.receipts) != names:
            yield Claim(SUMMARY, "stages", list(run.receipts), names, "this program")
        hashes = settings_hashes(settings, self._stages, self._lineage)
        for name, receipt in run.receipts.items():
            document, made = f"{name}.json", hashes.get(name)
            if receipt.settings_hash != made:
                yield Claim(document, "settings_hash", receipt.settings_hash, made, f"request.settings of {SUMMARY}")
        yield from self._of_drift(run, settings)
        yield from _of_page(run)

    def _of_drift(self, run: RunDocuments, settings: Settings) -> Iterator[Claim]:
        """Yield how drift.json differs from what the views say; whatever was pinned then, it names the prior run."""
        run_id, prior = run.summary.run_id, run.drift.prior_run_id
        again = self._drift(settings, None if prior == self._prior.get(run_id) else prior).get(run_id)
        if again is None:
            yield Claim(DRIFT, "run_id", run_id, "nothing", "the receipts: they hold numbers that no view can take")
        else:
            yield from unlike(DRIFT, run.drift, again, "the receipts")

    def _drift(self, settings: Settings, pinned: str | None) -> Mapping[str, DriftReport]:
        """Return the drift reports of all runs under these settings, with this run pinned."""
        if (settings, pinned) not in self._reports:
            self._history.replace("policy.setting", pa.Table.from_pylist([settings.row()]))
            set_baseline(self._history, pinned)
            self._reports[settings, pinned] = drift_reports(self._history)
        return self._reports[settings, pinned]


def _of_page(run: RunDocuments) -> Iterator[Claim]:
    """Yield the first line of summary.md that is not what its run's documents say."""
    again = summary_page(run.summary, list(run.receipts.values()), run.drift)
    lines = zip_longest(run.page.split("\n"), again.split("\n"), fillvalue="absent")
    for number, (stands, follows) in enumerate(lines, start=1):
        if stands != follows:
            yield Claim(PAGE, f"line {number}", stands, follows, "the other documents")
            return
