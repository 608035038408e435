"""The published datasets as files for a trainer: judged, written aside, moved into place as a whole, and their receipt.

The receipt names the run by the hash of its summary, and the receipt of the export before it by the hash of that, so that the
chain of runs goes on through them.
"""

from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from etl.base.datasets import exported_files
from etl.base.errors import UsageError
from etl.base.files import sha256_of, sync_file
from etl.base.project import Project
from etl.base.settings import Settings
from etl.base.signals import interrupting, run_stoppable
from etl.context import Clock, Run
from etl.export.formats import FORMATS_OF_ALL
from etl.export.formats.format import Origin, Written
from etl.export.prompts import PROMPTS
from etl.export.release import Choice, datasets_of, stem_of, write_release
from etl.pipeline.release.place import abandon, begin, complete, finish_cut_export, require_free
from etl.pipeline.staging import Staging
from etl.receipts.header import code_hash, engine, timestamp_of
from etl.receipts.measure import measure
from etl.receipts.models import FileEntry, ReleasedRows, ReleaseReceipt, Side
from etl.receipts.releases import last_release
from etl.receipts.store import SUMMARY, load_history, newest, require_documents, summary_hash
from etl.warehouse.connection import Warehouse
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql


def release(project: Project, settings: Settings, trainer: str, choice: Choice, out: Path, clock: Clock) -> ReleaseReceipt:
    """Write what is chosen of the published datasets into a folder, as a trainer takes it, and return the receipt.

    The folder is replaced as a whole; it must be empty, absent, or hold what an earlier export wrote and nothing else. Raises
    UsageError, NotFoundError where nothing is published, FirewallError for a published row that must not ship.
    """
    form = FORMATS_OF_ALL[trainer]
    for name in choice.datasets:
        if name not in form.datasets:
            raise UsageError(f"--dataset {name}: {trainer} has {', '.join(form.datasets)}.")
    if out.is_symlink():
        raise UsageError(f"{out}: this is a link; name the folder itself.")
    require_free(project, out.resolve())
    with PublishedWarehouse.open(project.warehouse):
        pass  # it is there, and of this version
    return run_stoppable(lambda: _release(project, settings, trainer, choice, out.resolve(), clock))


def _release(project: Project, settings: Settings, trainer: str, choice: Choice, out: Path, clock: Clock) -> ReleaseReceipt:
    sql, form = Sql.of(project.overlay), FORMATS_OF_ALL[trainer]
    stems = {stem_of(published) for name in datasets_of(form, choice) for published in form.datasets[name]}
    with Staging(project).hold():
        finish_cut_export(project)
        with closing(load_history(project, sql, settings)) as history:
            run_id = newest(history, published=True)
            summary_sha256 = summary_hash(project, history, run_id)
        inputs = _published_files(project, run_id, stems)
        built = begin(project, out)
        try:
            with closing(Warehouse.beside(project.warehouse, settings)) as warehouse, interrupting(warehouse.interrupt):
                run = Run(project, settings, sql, warehouse, project.exports)
                origin = Origin(_documents(project, run_id), choice.where, choice.max_chars)
                released = write_release(run, form, choice, origin, built)
            if released.prompts:
                digest = released.digest.hexdigest()
                inputs.append(FileEntry(path=PROMPTS, sha256=digest, bytes=None, record_count=released.prompts))
            place = _named(project, out)
            outputs = _measured(built, place)
            previous = last_release(project)
            receipt = ReleaseReceipt(
                seq=previous.seq + 1 if previous else 1,
                previous=previous.sha256 if previous else None,
                run_id=run_id,
                summary_sha256=summary_sha256 or "",
                timestamp=timestamp_of(clock),
                trainer=trainer,
                out=place,
                where=choice.where,
                max_chars=choice.max_chars,
                inputs=Side.of(inputs, sum(entry.record_count for entry in inputs)),
                outputs=Side.of(outputs, sum(rows.lines for rows in released.written.values())),
                rows={name: _counted(rows) for name, rows in released.written.items()},
                code_hash=code_hash(sql),
                engine=engine(),
            )
            complete(project, out, receipt)
        finally:
            abandon(project, out)
    return receipt


def _named(project: Project, out: Path) -> str:
    """Return the folder as the receipt names it: relative to the root where it lies there."""
    root = project.root.resolve()
    return out.relative_to(root).as_posix() if out.is_relative_to(root) else str(out)


def _documents(project: Project, run_id: str) -> dict[str, str]:
    """Return the texts of a run's receipts, in the order of its stages, and of its summary."""
    _, receipts = require_documents(project.reports / run_id)
    names = [SUMMARY, *(f"{receipt.stage}.json" for receipt in receipts)]
    return {name: (project.reports / run_id / name).read_text(encoding="utf-8") for name in names}


def _published_files(project: Project, run_id: str, stems: Collection[str]) -> list[FileEntry]:
    """Return the entries of the published Parquet files with these stems.

    Raises UsageError where one is not as its receipt says, or no receipt names it.
    """
    _, receipts = require_documents(project.reports / run_id)
    starts = tuple(f"exports/{stem}{after}" for stem in stems for after in ("/", ".parquet"))
    written = (entry for receipt in receipts for entry in receipt.outputs.files)
    entries = [entry for entry in written if entry.path.startswith(starts) and entry.path.endswith(".parquet")]
    for entry in entries:
        file = project.root / entry.path
        if not file.is_file() or sha256_of(file) != entry.sha256:
            raise UsageError(f"{file}: it is not what run {run_id} wrote; run etl run-all, which makes it anew.")
    named = {entry.path for entry in entries}
    for file in (file for stem in stems for file in exported_files(project.exports, stem)):
        if file.suffix == ".parquet" and project.relative(file) not in named:
            raise UsageError(f"{file}: run {run_id} did not write it; move it away.")
    return entries


def _measured(built: Path, place: str) -> list[FileEntry]:
    """Make the files that were written durable, and return their entries, under the names that they get."""
    files = sorted(file for file in built.rglob("*") if file.is_file())
    for file in files:
        sync_file(file)
    return [measure(file, f"{place}/{file.relative_to(built).as_posix()}") for file in files]


def _counted(rows: Written) -> ReleasedRows:
    return ReleasedRows(read=rows.rows, written=rows.lines, left_out=dict(sorted(rows.left_out.items())))
