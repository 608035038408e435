"""What is known of earlier runs: the tables receipts.* and the views over them, in memory.

They come from the published warehouse; runs whose documents lie in reports/ and that it does not know (failed ones, or
all where the warehouse was removed) are taken in from there.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from etl.documents import Pin, RunSummary, StageReceipt
from etl.errors import NotFoundError, UsageError
from etl.project import Project
from etl.settings import Settings
from etl.stamps import HISTORY, WAREHOUSE, read_stamps, stamp_of
from etl.views import Sql
from etl.warehouse import Warehouse
from etl.warehouse.published import PublishedWarehouse

TABLES = ("run", "stage", "file", "file_column", "reason", "fate", "message")


def load_history(project: Project, sql: Sql, settings: Settings, copy_in: Path | None = None) -> Warehouse:
    """Return a warehouse in memory with all that is known of earlier runs, under these settings.

    A run keeps out of the way of whoever opens the published warehouse meanwhile: it reads a copy, made in ``copy_in``.
    """
    history = Warehouse.create(sql, settings)
    if is_as_published(project) and stamp_of(project.history) == read_stamps(project.published_stamps).get(HISTORY):
        with PublishedWarehouse.open(project.history) as published:
            copy_receipts(published, history)
    elif project.warehouse.is_file():
        with PublishedWarehouse.open(project.warehouse, copy_in) as published:
            copy_receipts(published, history)
    known = {row[0] for row in history.execute("select run_id from receipts.run")}
    for folder in sorted(project.reports.glob("*/")):
        if folder.name not in known and (folder / "summary.json").is_file():
            try:
                summary, receipts = read_documents(folder)
            except (OSError, ValueError):
                continue  # etl verify tells about a damaged document; a run does not stop for it
            store(history, summary, receipts, _sha256(folder / "summary.json"))
    with suppress(UsageError):  # whoever asks for drift is told about a damaged pin; the other commands do not need it
        set_baseline(history, read_pin(project))
    return history


def is_as_published(project: Project) -> bool:
    """Tell whether nobody has written to the warehouse since it was published, as far as its size and time tell."""
    before, now = read_stamps(project.published_stamps).get(WAREHOUSE), stamp_of(project.warehouse)
    is_same = before is not None and now is not None and now[:2] == before[:2]
    return is_same and not project.write_ahead_log.exists()


def write_history(history: Warehouse, sql: Sql, file: Path) -> None:
    """Write what is known of all runs to a small file, which later commands read instead of the warehouse."""
    copy = Warehouse.create(sql, Settings(), file)
    copy_receipts(history, copy)
    copy.finish(sql)


def copy_receipts(old: Warehouse, new: Warehouse) -> None:
    """Put the receipts of one warehouse, and the pinned run, in place of those of another."""
    for table in (*(f"receipts.{name}" for name in TABLES), "policy.baseline"):
        new.replace(table, old.arrow(f"from {table}"))


def read_pin(project: Project) -> str | None:
    """Return the pinned run, if one is. Raises UsageError where the file that names it is damaged."""
    try:
        return Pin.model_validate_json(project.pin.read_bytes()).run_id
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{project.pin}: it cannot be read ({str(error).splitlines()[0]}); pin a run anew with etl drift --pin RUN, "
            "or none with etl drift --unpin."
        ) from None


def require_pin(project: Project, history: Warehouse) -> None:
    """Require that the pinned run, if there is one, can be compared with. Raises UsageError where it cannot."""
    run_id = read_pin(project)
    if run_id is not None:
        try:
            require_published(history, run_id)
        except UsageError as error:
            raise UsageError(
                f"{project.pin}: {error} Pin another with etl drift --pin RUN, or none with etl drift --unpin."
            ) from None


def require_published(history: Warehouse, run_id: str) -> None:
    """Require a run that published. Raises NotFoundError where it is unknown, UsageError where it did not publish."""
    require_run(history, run_id)
    if not history.one("select published from receipts.run where run_id = ?", [run_id]):
        raise UsageError(f"The run {run_id!r} did not publish, so nothing can be compared with it; name one that did.")


def set_baseline(history: Warehouse, run_id: str | None) -> None:
    """Let drift compare with this run, where it is an earlier one; or each run with the one before it."""
    history.replace("policy.baseline", pa.table({"run_id": pa.array([run_id] if run_id else [], pa.string())}))


def read_documents(folder: Path) -> tuple[RunSummary, list[StageReceipt]]:
    """Return the summary and the receipts in a run's folder. Raises OSError, or ValueError (as pydantic's is)."""
    summary = RunSummary.model_validate_json((folder / "summary.json").read_bytes())
    if summary.run_id != folder.name:
        raise ValueError(f"{folder}: its summary is that of another run, {summary.run_id!r}")
    receipts = [
        StageReceipt.model_validate_json((folder / f"{stage.name}.json").read_bytes()) for stage in summary.stages
    ]
    return summary, receipts


def require_documents(folder: Path) -> tuple[RunSummary, list[StageReceipt]]:
    """Return the summary and the receipts in a run's folder. Raises UsageError where they cannot be read."""
    try:
        return read_documents(folder)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: its documents cannot be read ({str(error).splitlines()[0]}).") from None


def store(history: Warehouse, summary: RunSummary, receipts: Iterable[StageReceipt], summary_sha256: str) -> None:
    """Write one run's documents as rows of receipts.*, in place of what is there about it."""
    forget(history, summary.run_id)
    row = summary.model_dump(include={"run_id", "seq", "previous", "published", "overall_passed", "run_hash"})
    _insert(history, "run", [row | {"started_at": parse_time(summary.started_at), "summary_sha256": summary_sha256}])
    for position, receipt in enumerate(receipts, start=1):
        store_stage(history, receipt, position)


def store_stage(history: Warehouse, receipt: StageReceipt, position: int) -> None:
    """Write one receipt as rows of receipts.*."""
    key = {"run_id": receipt.run_id, "stage": receipt.stage}
    stage = key | {
        "position": position,
        "status": receipt.status,
        "recorded_at": parse_time(receipt.timestamp),
        "git_commit": receipt.git_commit,
        "records_in": receipt.inputs.record_count,
        "records_out": receipt.outputs.record_count,
        **receipt.stats.model_dump(),
        "blank": receipt.blank,
        "inputs_hash": receipt.inputs.hash,
        "outputs_hash": receipt.outputs.hash,
        "passed": receipt.validation.passed,
        "duration_ms": receipt.duration_ms,
        "code_hash": receipt.code_hash,
        "settings_hash": receipt.settings_hash,
        "etl_version": receipt.engine.etl,
        "duckdb_version": receipt.engine.duckdb,
        "python_version": receipt.engine.python,
        "made_by": receipt.made_by,
    }
    _insert(history, "stage", [stage])
    sides = {"input": receipt.inputs, "output": receipt.outputs}
    _insert(
        history,
        "file",
        [
            key | {"direction": name} | entry.model_dump(exclude={"columns"})
            for name, side in sides.items()
            for entry in side.files
        ],
    )
    _insert(
        history,
        "file_column",
        [
            key | {"path": entry.path, "position": place, "field": column}
            for entry in receipt.outputs.files
            for place, column in enumerate(entry.columns or (), start=1)
        ],
    )
    _insert(
        history,
        "reason",
        [
            key | {"stat": stat, "reason": reason, "records": records}
            for stat, reasons in receipt.counts_by_reason.model_dump().items()
            for reason, records in reasons.items()
        ],
    )
    if receipt.records:
        fates = receipt.records.by_fate.items()
        _insert(history, "fate", [key | {"fate": fate, "records": records} for fate, records in fates])
    levels = {"error": receipt.validation.errors, "warning": receipt.validation.warnings}
    _insert(
        history,
        "message",
        [
            key | {"level": level, "position": place, "message": message}
            for level, messages in levels.items()
            for place, message in enumerate(messages, start=1)
        ],
    )


def forget(history: Warehouse, run_id: str) -> None:
    """Take out all rows about a run."""
    for table in TABLES:
        history.execute(f"delete from receipts.{table} where run_id = ?", [run_id])


def newest(history: Warehouse, published: bool = False) -> str:
    """Return the id of the newest run, or of the newest that published. Raises NotFoundError where there is none."""
    found = history.execute(
        "select run_id from receipts.run where published or not ? order by seq desc limit 1", [published]
    )
    if not found:
        raise NotFoundError("There is no run yet; make one with etl run-all.")
    return str(found[0][0])


def last_published(history: Warehouse) -> int | None:
    """Return the number of the last run that published, if one did."""
    seq: int | None = history.one("select max(seq) from receipts.run where published")
    return seq


def require_run(history: Warehouse, run_id: str | None) -> str:
    """Return the run that was asked for, or the newest. Raises NotFoundError where it is unknown."""
    if run_id is None:
        return newest(history)
    if not history.execute("select 1 from receipts.run where run_id = ?", [run_id]):
        known = history.execute("select run_id from receipts.run order by seq desc limit 3")
        newest_runs = ", ".join(row[0] for row in known) or "none yet"
        raise NotFoundError(f"There is no run {run_id!r}; the newest are: {newest_runs}.")
    return run_id


def parse_time(text: str) -> datetime:
    """Return a document's time as UTC without an offset, as the warehouse stores it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: DTZ007 - the warehouse's timestamps are UTC


def _insert(history: Warehouse, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        history.insert(f"receipts.{table}", pa.Table.from_pylist(rows))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
