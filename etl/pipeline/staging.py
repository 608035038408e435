"""The staging folder of a root (``warehouse/.etl/``): the lock, the journal, and the build of the run under way.

The journal says how far a run is: while it builds, what it recorded so far; once it publishes, what it publishes.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import Field, TypeAdapter

from etl.base.errors import LockedError, UsageError
from etl.base.files import sync_folder, write_text
from etl.base.project import Project
from etl.receipts.header import PartialRun
from etl.receipts.models import Document, RunId, Sha256


class Building(Document):
    """The journal while a run builds: if it is cut, this is enough to write its receipts."""

    state: Literal["building"] = "building"
    partial_run: PartialRun


class Publishing(Document):
    """The journal while a run publishes: if it is cut, the rest is done later.

    ``exports`` has the sha256 of each file of the new exports/ by its path below it, so that the new folder is known by its
    content; null where the run leaves exports/ and the warehouse alone.
    """

    state: Literal["publishing"] = "publishing"
    run_id: RunId
    exports: dict[str, Sha256] | None


Journal = Annotated[Building | Publishing, Field(discriminator="state")]
_JOURNAL: TypeAdapter[Building | Publishing] = TypeAdapter(Journal)


@dataclass(frozen=True, slots=True)
class Staging:
    """The staging folder of a project."""

    project: Project

    @property
    def journal(self) -> Path:
        """The journal; it exists while a run is under way, or was cut."""
        return self.project.staging / "journal.json"

    @property
    def export(self) -> Path:
        """Names the folder of the export for a trainer that is under way, or was cut."""
        return self.project.staging / "export"

    @property
    def build(self) -> Path:
        """What the run under way has made so far."""
        return self.project.staging / "build"

    @property
    def exports(self) -> Path:
        """The exports that were built; absent where a run leaves exports/ alone. After the exchange: the old exports."""
        return self.build / "exports"

    @property
    def old_exports(self) -> Path:
        """Where the old exports wait for their removal."""
        return self.build / "exports.old"

    @property
    def reports(self) -> Path:
        """The documents of the run, laid out as in the project's reports folder."""
        return self.build / "reports"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the root: one run at a time.

        Raises LockedError that names the holder where another run holds it, UsageError where nothing can be written.
        """
        lock, holder = FileLock(self._lock), self.project.staging / "holder"
        try:
            self.project.staging.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            write_text(holder, f"{os.getpid()}\n")
        except Timeout:
            who = "another run"
            with contextlib.suppress(OSError, ValueError):  # that run has not written it down yet
                who += f" (process {int(holder.read_text(encoding='ascii'))})"
            raise LockedError(f"{self.project.root}: {who} is under way here; wait for it to end.") from None
        except OSError as error:
            lock.release()
            place = error.filename or self.project.staging
            raise UsageError(f"{place}: a run cannot write here ({error.strerror}).") from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the file only names the holder; the lock is what holds
                holder.unlink(missing_ok=True)
            lock.release()

    @property
    def _lock(self) -> Path:
        return self.project.staging / "lock"

    def is_held(self) -> bool:
        """Return whether a run is under way, without a change on disk: it works on a read-only file system too."""
        try:
            descriptor = os.open(self._lock, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)  # which lets go of the lock
        return False

    def clear(self) -> None:
        """Make room for a new build."""
        shutil.rmtree(self.build, ignore_errors=True)
        self.build.mkdir(parents=True)

    def note(self, entry: Building | Publishing) -> None:
        """Write down how far the run is; the decision to publish is durable."""
        write_text(self.journal, entry.to_json())
        if isinstance(entry, Publishing):
            sync_folder(self.project.staging)

    def entry(self) -> Building | Publishing | None:
        """Return what the journal says; None where there is none. Raises UsageError where it is not a journal of ours."""
        try:
            return _JOURNAL.validate_json(self.journal.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, OSError):
            raise UsageError(
                f"{self.journal}: this journal is damaged, so the run that left it cannot be finished; remove the file, then "
                "run etl run-all --force, which makes everything anew."
            ) from None

    def cut_run(self) -> str | None:
        """Return a sentence about a run or an export that was cut; None where none was, or one is under way."""
        if self.is_held():
            return None
        try:
            entry = self.entry()
        except UsageError as error:
            return str(error)
        if isinstance(entry, Publishing):
            return f"Run {entry.run_id} was cut while it published; etl recover, or the next run, finishes it."
        if isinstance(entry, Building):
            run_id = entry.partial_run.header.run_id
            return f"Run {run_id} was cut while it built; etl recover, or the next run, writes its receipts."
        if self.export.exists():
            return "An export was cut; etl recover, or the next run or export, finishes it or removes what it had written."
        return None
