"""Compares two published runs: which rows they treat differently, and why."""

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Literal

from etl.base.errors import UsageError
from etl.base.project import Project
from etl.receipts.models import Count, Document
from etl.receipts.store import read_documents, require_documents
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.statements import read_sql


class _Change(Document):
    """A dataset, a way in which a row of it changed, and the cause; the words are those of ``receipts.row_change``."""

    dataset: str
    change: str
    cause: str


class DiffCount(_Change):
    """How many rows of a dataset changed in one way, for one cause; the words are those of ``receipts.row_change``."""

    rows: Count


class DiffRow(_Change):
    """One row that two runs treat differently, at the place of its record; of a pair, of the chosen one.

    The place before is null where the run before did not have it, and so are a category or reason where there is none.
    """

    id: str
    source_path: str
    item_number: int
    record_number: int
    source_path_before: str | None
    item_number_before: int | None
    category_before: str | None
    category_now: str | None
    reason_before: str | None
    reason_now: str | None


class SettingChange(Document):
    """A setting that differs between two runs."""

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


def diff(project: Project, from_run: str, to_run: str, size: int, kept_runs: int) -> Diff:
    """Return how many rows entered, left or changed between two runs, by cause, and ``size`` examples of each.

    The relation behind it is ``receipts.row_change``, which knows the rows of the last ``kept_runs`` published runs. Raises
    UsageError for any other run.
    """
    with PublishedWarehouse.open(project.warehouse) as warehouse:
        published = dict(warehouse.execute("select run_id, seq from receipts.run where published order by seq desc"))
        runs = {
            "from_run": _find_run(project, published, from_run, kept_runs),
            "to_run": _find_run(project, published, to_run, kept_runs),
        }
        codes = "select count(distinct code_hash) from receipts.stage where run_id in ($from_run, $to_run)"
        before, now = (require_documents(project.reports / run)[0].request.settings for run in (from_run, to_run))
        changes = [
            SettingChange(name=name, before=before.get(name), now=now.get(name))
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
        return Diff(
            from_run_id=from_run,
            to_run_id=to_run,
            same_code=warehouse.one(codes, runs) == 1,
            settings=changes,
            counts=[DiffCount(**row) for row in warehouse.dicts(read_sql(__file__, "change_count"), runs)],
            sample=[DiffRow(**row) for row in warehouse.dicts(read_sql(__file__, "change_sample"), runs | {"size": size})],
        )


def _find_run(project: Project, published: dict[str, int], run_id: str, kept_runs: int) -> str:
    """Return the run in the warehouse that has the rows of run ``run_id``; ``published`` are those it knows, newest first.

    That is the run itself, or the newest where the run came later and changed nothing: such a run leaves only documents.
    """
    if run_id in islice(published, kept_runs):
        return run_id
    if run_id in published:
        raise UsageError(
            f"Run {run_id} is older than the last {kept_runs} published runs, whose rows are kept (setting history_runs)."
        )
    with suppress(OSError, ValueError):
        summary, receipts = read_documents(project.reports / Path(run_id).name)  # a run's id is a name, never a path
        is_reused = summary.published and {receipt.status for receipt in receipts} == {"reused"}
        newest = next(iter(published), "")
        if is_reused and summary.run_id == run_id and summary.seq > published.get(newest, summary.seq):
            return newest
    raise UsageError(f"Run {run_id} did not publish, so there is nothing to compare; name one that did.")
