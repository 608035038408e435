"""Old until new is whole: a run builds aside, and what it built takes the old version's place in one journaled step.

The staging folder (``warehouse/.etl/``) holds the lock, the journal and the build. The journal says how far a run is: while it
builds, a cut run is undone; once it publishes, a cut run is rolled forward. Every move below can be made twice.
"""

import contextlib
import ctypes
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from filelock import FileLock, Timeout

from etl.base.errors import LockedError, UsageError
from etl.base.file_stat import RECEIPTS, WAREHOUSE, FileStat, settled_stat_of, stat_of, write_stats
from etl.base.files import sync_file, sync_folder, write_text
from etl.base.project import Project

#: Seconds for which a lock may be held by a process that has not left its name.
NAMELESS_SECONDS = 1.0

_KEPT = ("README.md", ".gitkeep")
_PROBE = ".etl-probe"


@dataclass(frozen=True, slots=True)
class Staging:
    """The folder where one root's runs build aside."""

    project: Project

    @property
    def journal(self) -> Path:
        """Says which run is under way, and how far it is; gone when none is."""
        return self.project.staging / "journal.json"

    @property
    def build(self) -> Path:
        """What the run under way has made so far."""
        return self.project.staging / "build"

    @property
    def _new_exports(self) -> Path:
        """The exports that were built; not there where the run leaves the published ones as they are."""
        return self.build / "exports"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the root: one run at a time. Raises LockedError, naming the holder, where another run holds it."""
        self.project.staging.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.project.staging / "lock")
        holder = self.project.staging / "holder.json"
        self._acquire(lock, holder)
        try:
            write_text(holder, json.dumps({"pid": os.getpid()}) + "\n")
            yield
        finally:
            with contextlib.suppress(OSError):  # it only names the holder; the lock is what holds
                holder.unlink(missing_ok=True)
            lock.release()

    def _acquire(self, lock: FileLock, holder: Path) -> None:
        """Take the lock, or say who has it; a process that has only just taken it may not have left its name yet."""
        deadline = monotonic() + NAMELESS_SECONDS
        while True:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                process = _living(holder)
                if process is not None or monotonic() > deadline:
                    who = f"another run (process {process})" if process is not None else "another run"
                    raise LockedError(f"{self.project.root}: {who} is under way here; wait for it to end.") from None
                sleep(NAMELESS_SECONDS / 20)
            else:
                return

    def clear(self) -> None:
        """Make room for a new build."""
        shutil.rmtree(self.build, ignore_errors=True)
        self.build.mkdir(parents=True)

    def note(self, entry: dict[str, Any]) -> None:
        """Write down how far the run is."""
        write_text(self.journal, json.dumps(entry, indent=2) + "\n")

    def done(self) -> None:
        """No run is under way any more."""
        self.journal.unlink(missing_ok=True)
        shutil.rmtree(self.build, ignore_errors=True)

    def abandon(self) -> None:
        """Leave no trace of a run that will not publish; what has begun to be moved is left for the next command."""
        if not self.journal.is_file():
            shutil.rmtree(self.build, ignore_errors=True)
        elif self._entry()["state"] == "building" and not self._is_head_left:
            self.done()

    @property
    def _is_head_left(self) -> bool:
        """Whether a failed run's folder is among those of the other runs, and the head that names it is not."""
        failed = self.build / "failed"
        return (failed / "head").is_file() and not any(path.is_dir() for path in failed.iterdir())

    def prepare(self) -> None:
        """Make everything that was built durable: the last moment at which a run can still fail."""
        self.project.reports.mkdir(parents=True, exist_ok=True)
        for place in self._places:
            _require_writable(place)
        for name in _KEPT:
            if self._new_exports.is_dir() and (self.project.exports / name).is_file():
                sync_file(Path(shutil.copy2(self.project.exports / name, self._new_exports / name)))
        for file in (self.build / "etl.duckdb", self.build / "receipts.arrow"):
            if file.is_file():
                sync_file(file)
        for folder, _, _ in os.walk(self.build):
            sync_folder(Path(folder))

    @property
    def _places(self) -> list[Path]:
        """The folders in which names change when a run is published; exports/ only where it is there already."""
        project = self.project
        places = [project.root, project.warehouse.parent, project.reports.parent, project.reports]
        return [*places, project.exports] if project.exports.is_dir() else places

    def decide(self, run_id: str) -> None:
        """Say in the journal that what was built is to be published: from here on a cut run is rolled forward."""
        new = self._new_exports
        self.note({"state": "publishing", "run_id": run_id, "exports": new.stat().st_ino if new.is_dir() else None})

    @property
    def is_decided(self) -> bool:
        """Whether the run under way is to be published, whatever happens to it."""
        return self.journal.is_file() and self._entry()["state"] == "publishing"

    def roll_forward(self) -> None:
        """Do what is left of the journaled publish step."""
        entry = self._entry()
        if entry["exports"] is not None:
            self._swap_exports(entry["exports"])
        self._move(self.build / "etl.duckdb", self.project.warehouse)
        self.project.write_ahead_log.unlink(missing_ok=True)
        self._move(self.build / "receipts.arrow", self.project.known_receipts)
        self._move(self.build / "evidence.json", self.project.evidence_stats)
        move_reports(self.build / "reports", self.project.reports, entry["run_id"])
        # Only now: what is removed here may have been a second name of an exported file, and so part of its stamp.
        shutil.rmtree(self.build, ignore_errors=True)
        if entry["exports"] is not None:  # a run in which nothing changed leaves documents alone
            write_stats(self.project.published_stats, self._published_stats(), entry["run_id"])
        self.done()

    def _published_stats(self) -> dict[str, FileStat | None]:
        project = self.project
        exported = [file for file in project.exports.glob("*/*") if file.is_file()]
        file_stats = {file.relative_to(project.root).as_posix(): settled_stat_of(file) for file in exported}
        return file_stats | {WAREHOUSE: stat_of(project.warehouse), RECEIPTS: stat_of(project.known_receipts)}

    def recover(self, on_cut: Callable[[dict[str, Any]], None]) -> None:
        """Finish what a cut run began: roll its publish step forward, or hand its journal to ``on_cut`` and clear up.

        Call it while the root is held.
        """
        if not self.journal.is_file():
            return
        entry = self._entry()
        if entry["state"] == "publishing":
            self.roll_forward()
        else:
            on_cut(entry)
            for place in self._places:
                (place / _PROBE).unlink(missing_ok=True)
            self.done()

    def recover_if_cut(self, on_cut: Callable[[dict[str, Any]], None]) -> None:
        """Like ``recover``, for commands that only read: does nothing while a run is under way or where nothing was cut."""
        if self.journal.is_file():
            with contextlib.suppress(LockedError, PermissionError), self.held():
                self.recover(on_cut)

    def _entry(self) -> dict[str, Any]:
        try:
            entry: dict[str, Any] = json.loads(self.journal.read_text(encoding="utf-8"))
        except ValueError:
            raise UsageError(
                f"{self.journal}: the journal is damaged, so a cut run cannot be finished; check exports/ and warehouse/ "
                "with etl verify, then remove the file."
            ) from None
        return entry

    def _swap_exports(self, new_inode: int) -> None:
        exports, new = self.project.exports, self._new_exports
        if exports.is_dir() and exports.stat().st_ino == new_inode:
            pass  # done before the step was cut; what was not made durable then is now
        elif not exports.exists():
            new.rename(exports)
        elif not _exchange(new, exports):
            old = self.build / "exports.old"
            shutil.rmtree(old, ignore_errors=True)
            exports.rename(old)
            new.rename(exports)
        sync_folder(self.project.root)

    @staticmethod
    def _move(new: Path, place: Path) -> None:
        if new.exists():
            new.replace(place)
        sync_folder(place.parent)


def move_reports(built: Path, reports: Path, run_id: str) -> None:
    """Put a run's folder of receipts among those of the other runs, and latest.md and the head of the chain beside them."""
    reports.mkdir(parents=True, exist_ok=True)
    if (built / run_id).is_dir() and not (reports / run_id).exists():
        (built / run_id).replace(reports / run_id)
    for name in ("latest.md", "head"):
        if (built / name).is_file():
            (built / name).replace(reports / name)
    sync_folder(reports)


def _require_writable(folder: Path) -> None:
    """Raise OSError where names in a folder cannot be changed: better now than in the middle of the publish step."""
    probe = folder / _PROBE
    probe.touch()
    try:
        probe.unlink()
    except OSError:
        with contextlib.suppress(OSError):  # readers see this folder: do not leave it there if a second try can help
            probe.unlink()
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, as Linux can; tell whether it could."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _living(holder: Path) -> int | None:
    """Return the process that the file names, if it lives."""
    try:
        process = int(json.loads(holder.read_text(encoding="utf-8"))["pid"])
        os.kill(process, 0)
    except PermissionError:
        return process
    except (OSError, ValueError, KeyError):
        return None
    return process
