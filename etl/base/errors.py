"""What can go wrong, as one tree; each error is one sentence for a person.

::

    EtlError                     exit code 1
    ├── UsageError               exit code 2: wrong usage or configuration, nothing was touched
    │   ├── SettingError         a setting, a flag or the environment has a value that cannot be
    │   ├── SqlError             a file of the sql folder (or its overlay) does not work
    │   ├── NotFoundError        no such evidence folder, run, id, warehouse
    │   ├── WarehouseError       the warehouse file is of another version, or is none
    │   ├── LockedError          exit code 4: another run of this root is under way
    │   └── KeyFileError         a key file is missing, there already, of another kind, or open to others
    └── StageError               a stage failed: nothing is published
        ├── ContractError        a frame breaks the pandera schema of its dataset
        ├── FirewallError        the re-read found a row that must never be there
        ├── AuditError           the written files differ from what they should hold
        ├── MachineError         the disk, or the memory, has no room or fails
        └── BooksError           records in and records out do not balance
"""


class EtlError(Exception):
    """Something that a person must know; its text is the whole message."""

    exit_code = 1


class UsageError(EtlError):
    """Wrong usage or configuration."""

    exit_code = 2


class SettingError(UsageError):
    """A setting has no such name, or a value that it cannot have."""


class SqlError(UsageError):
    """A file of the sql folder does not work."""


class NotFoundError(UsageError):
    """What the command was asked about is not there."""


class WarehouseError(UsageError):
    """The warehouse file cannot be used by this version."""


class LockedError(UsageError):
    """Another run holds this root."""

    exit_code = 4


class KeyFileError(UsageError):
    """A key file cannot be used, or must not be."""


class StageError(EtlError):
    """A stage failed; the published version stays."""


class ContractError(StageError):
    """A frame breaks the contract of its dataset."""


class FirewallError(StageError):
    """A written row is of a category that must never be there."""


class AuditError(StageError):
    """What was written is not what should have been written."""


class MachineError(StageError):
    """The disk or the memory has no room, or fails: nothing is wrong with the statement."""


class BooksError(StageError):
    """A stage lost or invented records."""


def sentence_of(error: BaseException) -> str:
    """Return what a person is told about an error, whatever it is."""
    if isinstance(error, EtlError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "The command was interrupted; the published version is unchanged."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the system'}: {error.strerror}."
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"An unexpected error ({what}); run the command again with --debug and report the traceback."
