"""What a run built takes the place of the published version, in one journaled step that can be finished after a cut.

Once the journal says ``publishing``, the steps of ``STEPS`` are done, each of which can be done twice. Everything in exports/
that is not one of our files is somebody else's, and stays. docs/publishing.md has a page about it.
"""

import ctypes
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from etl.base.datasets import STEMS, exported_files, is_exported
from etl.base.errors import UsageError
from etl.base.file_stat import RECEIPTS, WAREHOUSE, settle, settled_stat_of, stat_of, write_stats
from etl.base.files import link_or_copy, sha256_of, sync_file, sync_folder
from etl.pipeline.obstacles import copy_mode
from etl.pipeline.staging import Publishing, Staging


def make_exports(staging: Staging) -> None:
    """Make the folder of the new exports, with the mode and the group of the published one. Raises UsageError."""
    staging.exports.mkdir()
    if staging.project.exports.is_dir():
        copy_mode(staging.project.exports, staging.exports)


def make_durable(staging: Staging) -> None:
    """Add what others put into exports/, and make all that was built durable: the last moment at which a run can fail."""
    if staging.exports.is_dir() and staging.project.exports.is_dir():
        _each_stranger(staging.project.exports, staging.exports, link_or_copy)
    for file in (staging.build / "etl.duckdb", staging.build / "receipts.arrow"):
        if file.is_file():
            sync_file(file)
    for folder, _, _ in os.walk(staging.build):
        sync_folder(Path(folder))


def _each_stranger(old: Path, new: Path, take: Callable[[Path, Path], None]) -> None:
    """Make each folder of ``old`` in ``new``, and call ``take`` with both places of each file that is not ours.

    A folder of parts is made only where it holds something else too.
    """
    for folder, names, files in os.walk(old):
        within = Path(folder).relative_to(old)
        links = [name for name in names if Path(folder, name).is_symlink()]
        strange = [name for name in (*files, *links) if not is_exported((within / name).as_posix())]
        if within.as_posix() in STEMS and not strange and not (new / within).is_dir():
            continue
        (new / within).mkdir(parents=True, exist_ok=True)
        copy_mode(Path(folder), new / within)
        for name in strange:
            take(Path(folder, name), new / within / name)


def publish(staging: Staging, entry: Publishing) -> None:
    """Decide that what was built is published, and publish it. From the decision on a cut run is finished later.

    Raises OSError. Where the first move fails nothing has changed, so the decision is taken back.
    """
    before = staging.entry()
    staging.note(entry)
    try:
        if entry.exports is not None:
            _exchange_folders(staging)
    except OSError:
        if before is None:
            staging.journal.unlink()
        else:
            staging.note(before)
        raise
    sync_folder(staging.project.root)
    for step in STEPS[1:]:
        step(staging, entry)


def finish(staging: Staging, entry: Publishing) -> None:
    """Do the steps that are left of a publish that was cut; a step that was done before changes nothing.

    Raises UsageError where no run left what is there.
    """
    of_exports, of_reports = (staging.exports, staging.old_exports), (staging.reports, staging.reports / entry.run_id)
    for folder in (staging.build, *of_exports, *of_reports):
        if folder.is_symlink():
            raise UsageError(f"{folder}: a run leaves a folder here, and this is a link; remove it and {staging.journal}.")
    for step in STEPS:
        step(staging, entry)


def exchange_exports(staging: Staging, entry: Publishing) -> None:
    """Let the new exports and the published ones change places, unless they have: the new ones are known by their content.

    Raises UsageError where neither folder has that content.
    """
    exports, new = staging.project.exports, staging.exports
    if entry.exports is None:
        return
    if not _has_content(exports, entry.exports):
        if not _has_content(new, entry.exports):
            raise UsageError(
                f"{staging.journal}: run {entry.run_id} was cut while it published, and neither {exports} nor {new} holds what "
                "it wrote; remove the journal, then run etl run-all --force, which makes everything anew."
            )
        _exchange_folders(staging)
    sync_folder(staging.project.root)


def _exchange_folders(staging: Staging) -> None:
    """Put the new exports in the place of the old: in one system call where there is one, else by two renames."""
    exports, new = staging.project.exports, staging.exports
    if not exports.exists():
        new.rename(exports)
    elif not _exchange(new, exports):
        exports.rename(staging.old_exports)
        try:
            new.rename(exports)
        except OSError:
            staging.old_exports.rename(exports)
            raise


def move_strangers(staging: Staging, _entry: Publishing) -> None:
    """Move what others put into the old exports, or changed there until now, to the new ones; and remove the old ones."""
    for old in (staging.exports, staging.old_exports):
        if old.is_dir():
            _each_stranger(old, staging.project.exports, _move_over)
            for folder, _, _ in os.walk(staging.project.exports):
                sync_folder(Path(folder))
            _remove_ours(old)


def _move_over(old: Path, new: Path) -> None:
    old.replace(new)
    old.unlink(missing_ok=True)  # a move between two names of one file leaves both


def _remove_ours(old: Path) -> None:
    """Remove our files and the folders; one that is not empty holds what somebody has just put there, and is an error."""
    for path in _ours(old):
        (old / path).unlink(missing_ok=True)
    for folder, _, _ in os.walk(old, topdown=False):
        Path(folder).rmdir()


def move_warehouse(staging: Staging, _entry: Publishing) -> None:
    """Replace the published warehouse, and delete the log of changes that somebody made to it."""
    new = staging.build / "etl.duckdb"
    if new.is_file():
        staging.project.write_ahead_log.unlink(missing_ok=True)
        _move(new, staging.project.warehouse)


def move_shortcuts(staging: Staging, _entry: Publishing) -> None:
    """Move what saves work in later runs: the rows of the receipts, and the file stats of the evidence."""
    _move(staging.build / "receipts.arrow", staging.project.known_receipts)
    _move(staging.build / "evidence.json", staging.project.evidence_stats)


def move_reports(staging: Staging, entry: Publishing) -> None:
    """Move the run's folder of documents, then latest.md, then the head of the chain, which names the run."""
    built, reports = staging.reports, staging.project.reports
    reports.mkdir(parents=True, exist_ok=True)
    if (built / entry.run_id).is_dir() and not (reports / entry.run_id).exists():
        (built / entry.run_id).rename(reports / entry.run_id)
        sync_folder(reports)
    for name in ("latest.md", "head"):
        _move(built / name, reports / name)


def note_file_stats(staging: Staging, entry: Publishing) -> None:
    """Write down what the file system says of the published files, so that the next run need not read them."""
    if entry.exports is None:
        return
    project = staging.project
    settle(project.exports / path for path in entry.exports)
    exported = {f"exports/{path}": settled_stat_of(project.exports / path) for path in entry.exports}
    others = {WAREHOUSE: stat_of(project.warehouse), RECEIPTS: stat_of(project.known_receipts)}
    write_stats(project.published_stats, exported | others, entry.run_id)


def end_publish(staging: Staging, _entry: Publishing) -> None:
    """Remove the build, then the journal: the run has ended."""
    shutil.rmtree(staging.build, ignore_errors=True)
    staging.journal.unlink(missing_ok=True)


Step = Callable[[Staging, Publishing], None]

#: The steps of a publish in their order.
STEPS: tuple[Step, ...] = (
    exchange_exports,
    move_strangers,
    move_warehouse,
    move_shortcuts,
    move_reports,
    note_file_stats,
    end_publish,
)


def _has_content(exports: Path, content: dict[str, str]) -> bool:
    """Return whether a folder holds our files with these hashes, and no other of ours."""
    return _ours(exports) == content.keys() and all(sha256_of(exports / path) == content[path] for path in content)


def _ours(exports: Path) -> set[str]:
    """Return the paths of our files that are in a folder."""
    return {file.relative_to(exports).as_posix() for stem in STEMS for file in exported_files(exports, stem)}


def _move(new: Path, place: Path) -> None:
    if new.is_file():
        new.replace(place)
        sync_folder(place.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, as Linux can; return whether it could."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)
