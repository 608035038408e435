"""The receipts of earlier runs as relations (receipts.*), in memory, with the views over them.

The documents in reports/ are what there is to know; the rows of receipts.* follow from their texts, by the files of
sql/7_receipts. What the published version knew of them lies at hand in a small file, so that only later documents are read.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from etl.base.errors import NotFoundError, StageError, UsageError
from etl.base.file_stat import RECEIPTS, WAREHOUSE, FileStat, read_stats, stat_of
from etl.base.project import Project
from etl.base.settings import Settings
from etl.receipts.models import Head, Pin, RunSummary, StageReceipt
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql, View
from etl.warehouse.statements import read_sql

SUMMARY = "summary.json"


def load_history(project: Project, sql: Sql, settings: Settings) -> Warehouse:
    """Return a warehouse in memory with all that is known of earlier runs, under these settings."""
    history = Warehouse.create(sql, settings)
    for name, rows in _known_rows(project, sql).items():
        history.insert(name, rows)
    known = {row[0] for row in history.execute("select run_id from receipts.run")}
    _take_in_all(history, sql, [folder for folder in sorted(project.reports.glob("*/")) if folder.name not in known])
    with suppress(UsageError):  # whoever asks for drift is told about a damaged pin; the other commands do not need it
        set_baseline(history, read_pin(project))
    return history


def take_in(history: Warehouse, views: Iterable[View], texts: Mapping[str, str]) -> None:
    """Insert the rows that documents (receipts and summaries by their paths, ``run/name.json``) have in these relations."""
    if texts:
        history.execute("delete from raw.document")  # what a call that was cut may have left
        arrived = {"path": pa.array(list(texts), pa.string()), "json": pa.array(list(texts.values()), pa.string())}
        with history.lent("arrived", pa.table(arrived)):
            history.execute("insert into raw.document by name from arrived")
        for view in views:
            history.execute(f"insert into {view.qualified} by name\n{view.body}")
        history.execute("delete from raw.document")


def _take_in_all(history: Warehouse, sql: Sql, folders: Iterable[Path]) -> None:
    """Take in the documents of runs. A damaged one is left out: etl verify reports it, and nothing else stops for it."""
    texts: dict[str, dict[str, str]] = {}
    for folder in folders:
        if (folder / SUMMARY).is_file():
            with suppress(OSError, ValueError):
                texts[folder.name] = texts_of(folder)
    try:
        take_in(history, sql.kept, {path: text for of_run in texts.values() for path, text in of_run.items()})
    except StageError:  # a number that no column can hold: leave out the run that has it
        for run_id in texts:
            forget(history, sql, run_id)
        for run_id, of_run in texts.items():
            try:
                take_in(history, sql.kept, of_run)
            except StageError:
                forget(history, sql, run_id)


def forget(history: Warehouse, sql: Sql, run_id: str) -> None:
    """Delete the rows of a run's documents."""
    for view in sql.kept:
        history.execute(f"delete from {view.qualified} where run_id = ?", [run_id])


def path_of(document: RunSummary | StageReceipt) -> str:
    """Return the path of a document below the reports: the run's folder and its file."""
    return f"{document.run_id}/{SUMMARY if isinstance(document, RunSummary) else f'{document.stage}.json'}"


def is_as_published(project: Project) -> bool:
    """Return whether the warehouse file has the size and the time that it had when it was published."""
    is_same = _is_as_before(project.warehouse, read_stats(project.published_stats).get(WAREHOUSE))
    return is_same and not project.write_ahead_log.exists()


def _is_as_before(file: Path, before: FileStat | None) -> bool:
    """Return whether a file has the size and the time that it had; in a copy of the root it has them too."""
    now = stat_of(file)
    return before is not None and now is not None and now[:2] == before[:2]


def write_known_rows(history: Warehouse, sql: Sql, file: Path) -> None:
    """Write the rows of all receipts to a small file, so that no document is read again.

    It is an Arrow stream for each relation, followed by the sha256 of all streams.
    """
    sink = pa.BufferOutputStream()
    for view in sql.kept:
        rows = history.arrow(f"from {view.qualified}").replace_schema_metadata({"sql": sql.sha256})
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
    streams = sink.getvalue()
    file.write_bytes(streams.to_pybytes() + sha256(streams).digest())


def _known_rows(project: Project, sql: Sql) -> dict[str, pa.Table]:
    """Return the rows of receipts by relation, from that small file; none where somebody changed it.

    Rows that other SQL made are left out too: a relation may have other columns now.
    """
    if not _is_as_before(project.known_receipts, read_stats(project.published_stats).get(RECEIPTS)):
        return {}
    try:
        content = project.known_receipts.read_bytes()
    except OSError:
        return {}
    streams, digest = content[: -sha256().digest_size], content[-sha256().digest_size :]
    if sha256(streams).digest() != digest:
        return {}
    found = {}
    source = pa.BufferReader(streams)
    for view in sql.kept:
        try:
            rows = pa.ipc.open_stream(source).read_all()
        except pa.ArrowInvalid:  # other SQL kept fewer relations
            return {}
        if rows.schema.metadata != {b"sql": sql.sha256.encode()}:
            return {}
        found[view.qualified] = rows
    return found


def copy_receipts(old: Warehouse, new: Warehouse, sql: Sql) -> None:
    """Replace the receipts and the pinned run of one warehouse by those of another."""
    for table in (*(view.qualified for view in sql.kept), "policy.baseline"):
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
    """Raise UsageError where a run is pinned that drift cannot compare with."""
    run_id = read_pin(project)
    if run_id is not None:
        try:
            require_published(history, run_id)
        except UsageError as error:
            raise UsageError(
                f"{project.pin}: {error} Pin another with etl drift --pin RUN, or none with etl drift --unpin."
            ) from None


def require_published(history: Warehouse, run_id: str) -> None:
    """Raise NotFoundError where a run is unknown, UsageError where it did not publish."""
    require_run(history, run_id)
    if not history.one("select published from receipts.run where run_id = ?", [run_id]):
        raise UsageError(f"The run {run_id!r} did not publish, so nothing can be compared with it; name one that did.")


def set_baseline(history: Warehouse, run_id: str | None) -> None:
    """Let drift compare with this run, where it is an earlier one; or each run with the one before it."""
    history.replace("policy.baseline", pa.table({"run_id": pa.array([run_id] if run_id else [], pa.string())}))


def read_documents(folder: Path) -> tuple[RunSummary, list[StageReceipt]]:
    """Return the summary and the receipts in a run's folder. Raises OSError, or ValueError (as pydantic's is)."""
    summary = RunSummary.model_validate_json((folder / SUMMARY).read_bytes())
    if summary.run_id != folder.name:
        raise ValueError(f"{folder}: its summary is that of another run, {summary.run_id!r}")
    receipts = [StageReceipt.model_validate_json((folder / f"{stage.name}.json").read_bytes()) for stage in summary.stages]
    for receipt, stage in zip(receipts, summary.stages, strict=True):
        if (receipt.run_id, receipt.stage) != (summary.run_id, stage.name):
            raise ValueError(f"{folder}: {stage.name}.json is the receipt of {receipt.stage} in run {receipt.run_id!r}")
    return summary, receipts


def texts_of(folder: Path) -> dict[str, str]:
    """Return the texts of a run's summary and receipts. Raises OSError, or ValueError where one of them is damaged."""
    summary, receipts = read_documents(folder)
    documents: list[RunSummary | StageReceipt] = [summary, *receipts]
    paths = [path_of(document) for document in documents]
    return {path: (folder.parent / path).read_text(encoding="utf-8") for path in paths}


def require_documents(folder: Path) -> tuple[RunSummary, list[StageReceipt]]:
    """Return the summary and the receipts in a run's folder. Raises UsageError where they cannot be read."""
    try:
        return read_documents(folder)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: its documents cannot be read ({str(error).splitlines()[0]}).") from None


def summary_hash(project: Project, history: Warehouse, run_id: str) -> str | None:
    """Return the hash that a run's summary had when it was written; None for an unknown run.

    The summary of the next run names it, or ``head``. Where neither does, it is the hash of what was read.
    """
    rows = history.execute(read_sql(__file__, "summary_hash"), {"run": run_id})
    if not rows:
        return None
    of_next, as_read = rows[0]
    head = read_head(project)
    of_head = head.sha256 if head and head.run_id == run_id else None
    return str(of_next or of_head or as_read)


def read_head(project: Project) -> Head | None:
    """Return what ``head`` says of the newest run; None where it is not there or is damaged."""
    try:
        return Head.model_validate_json((project.reports / "head").read_bytes())
    except (OSError, ValueError):
        return None


def newest(history: Warehouse, published: bool = False) -> str:
    """Return the id of the newest run, or of the newest that published. Raises NotFoundError where there is none."""
    found = history.execute("select run_id from receipts.run where published or not ? order by seq desc limit 1", [published])
    if not found:
        raise NotFoundError("There is no run yet; make one with etl run-all.")
    return str(found[0][0])


def is_known(history: Warehouse, run_id: str | None) -> bool:
    """Return whether there is a run of this id."""
    return bool(history.execute("select 1 from receipts.run where run_id = ?", [run_id]))


def last_published(history: Warehouse) -> int | None:
    """Return the number of the last run that published, if one did."""
    seq: int | None = history.one("select max(seq) from receipts.run where published")
    return seq


def require_run(history: Warehouse, run_id: str | None) -> str:
    """Return the run that was asked for, or the newest. Raises NotFoundError where it is unknown."""
    if run_id is None:
        return newest(history)
    if not is_known(history, run_id):
        known = history.execute("select run_id from receipts.run order by seq desc limit 3")
        newest_runs = ", ".join(row[0] for row in known) or "none yet"
        raise NotFoundError(f"There is no run {run_id!r}; the newest are: {newest_runs}.")
    return run_id
