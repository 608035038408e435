"""What can go wrong, as one tree; each error is one sentence for a person.

::

    EtlError                     exit code 1
    ├── UsageError               exit code 2: wrong usage or configuration; nothing was changed
    │   ├── SqlError             a file of the sql folder, or of its overlay, does not work
    │   ├── NotFoundError        what the command asks for does not exist
    │   └── LockedError          exit code 4: another run holds this root
    └── StageError               a stage failed: nothing is published
        ├── ContractError        a frame breaks the contract of its dataset
        ├── FirewallError        the re-read found a row that must never be there
        ├── AuditError           the written files differ from what they should hold
        └── MachineError         the disk or the memory has no room, or fails
"""

from typing import NamedTuple

from etl.base.terminal import short


class SqlPlace(NamedTuple):
    """A place in a file of the sql folder: its line and column, from 1, as far as they are known."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in self if part is not None)


class EtlError(Exception):
    """Something that a person must know; its text is the whole message."""

    exit_code = 1


class UsageError(EtlError):
    """Wrong usage or configuration."""

    exit_code = 2


class SqlError(UsageError):
    """A file of the sql folder does not work; ``place`` is where, if the engine says it."""

    def __init__(self, text: str, place: SqlPlace | None = None) -> None:
        super().__init__(text)
        self.place = place


class NotFoundError(UsageError):
    """What the command asks for does not exist."""


class LockedError(UsageError):
    """Another run holds this root."""

    exit_code = 4


class StageError(EtlError):
    """A stage failed; the published version stays."""


class ContractError(StageError):
    """A frame breaks the contract of its dataset."""


class FirewallError(StageError):
    """A written row must never be there."""


class AuditError(StageError):
    """The written files differ from what they should hold."""


class MachineError(StageError):
    """The disk or the memory has no room, or fails."""


def sentence_of(error: BaseException) -> str:
    """Return what a person is told about an error, whatever it is."""
    if isinstance(error, EtlError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "The command was interrupted; the published version is unchanged."
    if isinstance(error, OSError) and error.strerror:
        return f"{short(str(error.filename or 'the system'))}: {error.strerror}."
    what = short(" ".join(f"{type(error).__name__}: {error}".split()))
    return f"An unexpected error ({what}); run the command again with --debug and report the traceback."
