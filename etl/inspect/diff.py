"""What two published runs treat differently, row by row, and why."""

from contextlib import suppress
from pathlib import Path
from typing import Literal

from etl.base.errors import UsageError
from etl.base.project import Project
from etl.receipts.models import Count, Document
from etl.receipts.row_history import OLDEST_KEPT
from etl.receipts.store import read_documents, require_documents
from etl.warehouse.connection import Warehouse

_COUNTS = """
select dataset, change, cause, count(*) as rows
from receipts.row_change
where from_run_id = $from_run and to_run_id = $to_run
group by all
order by all
"""
_SAMPLE = """
select dataset, change, cause, id, source_path, line_number, category_before, category_now, reason_before, reason_now
from receipts.row_change
where from_run_id = $from_run and to_run_id = $to_run
qualify row_number() over (partition by dataset, change, cause order by id, source_path, line_number) <= $size
order by all
"""


class DiffCount(Document):
    """How many rows of a dataset changed in one way, for one cause; the words are those of ``receipts.difference``."""

    dataset: str
    change: str
    cause: str
    rows: Count


class DiffRow(Document):
    """One row that two runs treat differently; the place is null for a pair, a category or reason where there is none."""

    dataset: str
    change: str
    cause: str
    id: str
    source_path: str | None
    line_number: int | None
    category_before: str | None
    category_now: str | None
    reason_before: str | None
    reason_now: str | None


class SettingChange(Document):
    """A setting that two runs had differently."""

    name: str
    before: bool | int | float | str | None
    now: bool | int | float | str | None


class Diff(Document):
    """What two published runs treat differently."""

    schema_version: Literal[1] = 1
    from_run_id: str
    to_run_id: str
    same_code: bool
    settings: list[SettingChange]
    counts: list[DiffCount]
    sample: list[DiffRow]


def diff(project: Project, warehouse: Warehouse, from_run: str, to_run: str, size: int, kept_runs: int) -> Diff:
    """Return how many rows entered, left or changed between two runs, by cause, and ``size`` examples of each.

    The relation behind it is ``receipts.row_change``. Raises UsageError where a run did not publish, or its states are
    kept no more.
    """
    oldest = warehouse.one(OLDEST_KEPT, {"runs": kept_runs})
    runs = {
        name: _run_in(warehouse, project, run_id, oldest, kept_runs)
        for name, run_id in (("from_run", from_run), ("to_run", to_run))
    }
    before, now = (require_documents(project.reports / run)[0].request.settings for run in (from_run, to_run))
    return Diff(
        from_run_id=from_run,
        to_run_id=to_run,
        same_code=_codes(warehouse, runs["from_run"]) == _codes(warehouse, runs["to_run"]),
        settings=[
            SettingChange(name=name, before=before.get(name), now=now.get(name))
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ],
        counts=[DiffCount.model_validate(row) for row in warehouse.dicts(_COUNTS, runs)],
        sample=[DiffRow.model_validate(row) for row in warehouse.dicts(_SAMPLE, runs | {"size": size})],
    )


def _run_in(warehouse: Warehouse, project: Project, run_id: str, oldest: int, kept_runs: int) -> str:
    """Return the run that the warehouse knows and whose rows are those of ``run_id``.

    That is another one only where nothing changed since the warehouse was published: such runs leave documents alone.
    """
    rows = warehouse.execute("select published, seq from receipts.run where run_id = $run", {"run": run_id})
    if not rows:
        last = warehouse.execute("select run_id, seq from receipts.run where published order by seq desc limit 1")
        with suppress(OSError, ValueError):
            summary = read_documents(project.reports / Path(run_id).name)[0]  # a run's id is a name, never a path
            is_unchanged = summary.published and {stage.status for stage in summary.stages} == {"reused"}
            if summary.run_id == run_id and is_unchanged and last and summary.seq > last[0][1]:
                return str(last[0][0])
    if not rows or not rows[0][0]:
        raise UsageError(f"Run {run_id} did not publish, so there is nothing to compare; name one that did.")
    if rows[0][1] < oldest:
        raise UsageError(
            f"Run {run_id} is older than the last {kept_runs} published runs, whose rows are kept (setting history_runs)."
        )
    return run_id


def _codes(warehouse: Warehouse, run_id: str) -> list[tuple[str]]:
    return warehouse.execute("select distinct code_hash from receipts.stage where run_id = $run", {"run": run_id})
