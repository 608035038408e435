"""The receipts of earlier runs as relations (receipts.*), in memory, with the views over them; and the states of rows.

The documents in reports/ are what there is to know; the rows of receipts.* follow from their texts, by the files of
sql/7_receipts. What the published version knew of them lies at hand in a small file, so that only later documents are read.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from etl.base.errors import NotFoundError, StageError, UsageError
from etl.base.file_stat import RECEIPTS, WAREHOUSE, read_stats, stat_of
from etl.base.project import Project
from etl.base.settings import Settings
from etl.receipts.models import Head, Pin, RunSummary, StageReceipt
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql, View
from etl.warehouse.statements import read_sql

SUMMARY = "summary.json"

#: The states of all rows: of a state, the first and the last published run that saw it. Only what changes is written.
ROW_HISTORY = "receipts.row_history"

#: What a warehouse knows of the version before it, and hands on to the next.
HANDED_ON = (ROW_HISTORY, "receipts.task_split")


def load_history(project: Project, sql: Sql, settings: Settings, documents_only: bool = False) -> Warehouse:
    """Return a warehouse in memory with all that is known of earlier runs, under these settings.

    With ``documents_only`` every document is read now, and nothing else is trusted.
    """
    # so few rows are counted sooner than shared out among threads
    history = Warehouse.create(sql, settings.model_copy(update={"threads": 1}), is_for_run=False)
    for name, rows in ({} if documents_only else _known_rows(project, sql)).items():
        history.insert(name, rows)
    known = {row[0] for row in history.execute("select run_id from receipts.run")}
    texts = {}
    for folder in sorted(project.reports.glob("*/")):
        if folder.name not in known:
            with suppress(OSError, ValueError):  # etl verify reports it, and nothing else stops for it
                texts[folder.name] = texts_of(folder)
    _take_in_runs(history, sql, texts)
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


def _take_in_runs(history: Warehouse, sql: Sql, runs: Mapping[str, Mapping[str, str]]) -> None:
    """Take in the documents of runs at once, and where that fails one by one, leaving out what cannot be taken in."""
    try:
        take_in(history, sql.kept, {path: text for texts in runs.values() for path, text in texts.items()})
    except StageError:  # a number that no column can hold
        for run_id, texts in runs.items():
            forget(history, sql, run_id)
            if len(runs) > 1:
                _take_in_runs(history, sql, {run_id: texts})


def forget(history: Warehouse, sql: Sql, run_id: str) -> None:
    """Delete the rows of a run's documents."""
    for view in sql.kept:
        history.execute(f"delete from {view.qualified} where run_id = ?", [run_id])


def as_texts(documents: Iterable[RunSummary | StageReceipt]) -> dict[str, str]:
    """Return what is written of these documents, by their paths below the reports."""
    return {_path_of(document): document.to_json() for document in documents}


def _path_of(document: RunSummary | StageReceipt) -> str:
    """Return the run's folder and the name of a document's file."""
    return f"{document.run_id}/{SUMMARY if isinstance(document, RunSummary) else f'{document.stage}.json'}"


def is_as_published(project: Project) -> bool:
    """Return whether the warehouse file has the size and the time that it had when it was published."""
    return _is_as_before(project, project.warehouse, WAREHOUSE) and not project.write_ahead_log.exists()


def _is_as_before(project: Project, file: Path, name: str) -> bool:
    """Return whether a file has the size and the time that it had; in a copy of the root it has them too."""
    before, now = read_stats(project.published_stats).get(name), stat_of(file)
    return before is not None and now is not None and now[:2] == before[:2]


def write_known_rows(history: Warehouse, sql: Sql, file: Path) -> None:
    """Write the rows of all receipts to a small file, so that no document is read again.

    It is an Arrow stream for each relation, followed by a digest of all streams and of the SQL that made the rows.
    """
    sink = pa.BufferOutputStream()
    for view in sql.kept:
        rows = history.arrow(f"from {view.qualified}")
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
    streams = sink.getvalue().to_pybytes()
    file.write_bytes(streams + _digest(sql, streams))


def _known_rows(project: Project, sql: Sql) -> dict[str, pa.Table]:
    """Return the rows of receipts by relation, from that small file; none where somebody changed it, or other SQL made them."""
    content = b""
    if _is_as_before(project, project.known_receipts, RECEIPTS):
        with suppress(OSError):
            content = project.known_receipts.read_bytes()
    size = max(len(content) - sha256().digest_size, 0)
    if content[size:] != _digest(sql, content[:size]):
        return {}
    source = pa.BufferReader(content[:size])
    return {view.qualified: pa.ipc.open_stream(source).read_all() for view in sql.kept}


def _digest(sql: Sql, streams: bytes) -> bytes:
    return sha256(sql.sha256.encode() + streams).digest()


def copy_receipts(old: Warehouse, new: Warehouse, sql: Sql) -> None:
    """Replace the receipts and the pinned run of one warehouse by those of another."""
    for table in (*(view.qualified for view in sql.kept), "policy.baseline"):
        new.replace(table, old.arrow(f"from {table}"))


def read_pin(project: Project) -> str | None:
    """Return the pinned run, if one is. Raises UsageError where the file that names it is damaged."""
    try:
        return Pin.of_json(project.pin.read_bytes()).run_id
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
    summary = RunSummary.of_json((folder / SUMMARY).read_bytes())
    if summary.run_id != folder.name:
        raise ValueError(f"{folder}: its summary is that of another run, {summary.run_id!r}")
    receipts = [StageReceipt.of_json((folder / f"{stage.name}.json").read_bytes()) for stage in summary.stages]
    for receipt, stage in zip(receipts, summary.stages, strict=True):
        if (receipt.run_id, receipt.stage) != (summary.run_id, stage.name):
            raise ValueError(f"{folder}: {stage.name}.json is the receipt of {receipt.stage} in run {receipt.run_id!r}")
    return summary, receipts


def texts_of(folder: Path) -> dict[str, str]:
    """Return the texts of a run's summary and receipts. Raises OSError, or ValueError where one of them is damaged."""
    summary, receipts = read_documents(folder)
    paths = [_path_of(summary), *map(_path_of, receipts)]
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


def written_hashes(project: Project, history: Warehouse, summary: RunSummary) -> dict[str, str]:
    """Return the sha256 of each document of a run when it was written, by its name in the run's folder."""
    bound = {document.path: document.sha256 for document in summary.documents}
    return bound | {SUMMARY: summary_hash(project, history, summary.run_id) or ""}


def read_head(project: Project) -> Head | None:
    """Return what ``head`` says of the newest run; None where it is not there or is damaged."""
    try:
        return Head.of_json((project.reports / "head").read_bytes())
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
    known = [row[0] for row in history.execute("select run_id from receipts.run order by seq desc")]
    if run_id not in known:
        raise NotFoundError(f"There is no run {run_id!r}; the newest are: {', '.join(known[:3]) or 'none yet'}.")
    return run_id


def hand_on(old: Warehouse, new: Warehouse) -> None:
    """Give a new warehouse what the published one knows of rows and tasks, as a stream: there may be millions."""
    for table in HANDED_ON:
        with old.batches(table, new.columns(table)) as rows:
            new.replace(table, rows)


def keep_row_history(warehouse: Warehouse, seq: int, before: int | None) -> None:
    """Write which states end and begin with run ``seq``; ``before`` is the last run that published, if one did."""
    warehouse.materialise("receipts.row_state")
    warehouse.execute(read_sql(__file__, "end_states"), {"before": before})
    warehouse.execute(read_sql(__file__, "begin_states"), {"seq": seq})


def forget_row_history(warehouse: Warehouse, runs: int) -> None:
    """Forget the states that the last ``runs`` published runs, as ``receipts.run`` knows them, never saw."""
    warehouse.execute(read_sql(__file__, "forget_states"), {"runs": runs})


def keep_splits(warehouse: Warehouse) -> None:
    """Write on which side of the split each task is, once all receipts of the run were recorded."""
    warehouse.execute("truncate receipts.task_split")
    warehouse.execute("insert into receipts.task_split select task_id, split from scored.task_group")
