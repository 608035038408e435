"""What is handed from stage to stage: the run, its clock and its evidence; and what a stage is."""

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Literal

from etl.base.datasets import Dataset
from etl.base.file_stat import FileStat
from etl.base.project import Project
from etl.base.settings import Settings
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage
from etl.warehouse.sql_files import Sql

#: Makes the files of a stage durable, reads them back and audits them. Raises FirewallError or AuditError.
Proof = Callable[[], object]

#: Called with the name of an activity, how much of it is done, and how much there is (bytes or rows).
Progress = Callable[[str, int, int], None]


def show_nothing(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


#: The file of the evidence folder that says which others are ignored. It decides what is read, so it is an input too.
IGNORE_FILE = ".etlignore"

#: How a file holds its items, as its name says: one a line, elements of a JSON document, rows of Parquet, members, or itself.
Format = Literal["lines", "document", "parquet", "archive", "text"]

_PACKED = re.compile(r"\.(gz|zst|bz2|xz)$", re.IGNORECASE)
_FORMATS: dict[Format, re.Pattern[str]] = {
    "lines": re.compile(r"\.(jsonl|ndjson)(\.[0-9]+)?\Z", re.IGNORECASE),
    "document": re.compile(r"\.json\Z", re.IGNORECASE),
    "parquet": re.compile(r"\.parquet\Z", re.IGNORECASE),
    "archive": re.compile(r"\.(zip|eval)\Z", re.IGNORECASE),
}
#: Where the path of an archive ends, and the name of its member begins. No file of the evidence folder has such a path: in its
#: name the mark is spelled otherwise.
_END_OF_ARCHIVE = re.compile(r"(?:(?<=\.zip)|(?<=\.eval))!", re.IGNORECASE)

#: How Python holds a byte of a file name that is not UTF-8; here also one that is spelled as if it were not.
_ODD_BYTE = re.compile("[\udc21\udc80-\udcff]")
_SPELLED_BYTE = re.compile("\ufffd".encode() + b"([0-9a-f]{2})")

#: What is not compressed as a whole: its readers need to go back and forth.
_NEVER_PACKED: tuple[Format, ...] = ("parquet", "archive")


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file of the evidence folder; ``source_path`` is relative to that, its first part names the ``source``.

    A member of an archive is a file too: ``path`` and ``archive_path`` are then the archive's path and ``source_path``, and its
    own ``source_path`` goes on after a ``!``.
    ``problem`` says why it must not be read, if so; ``ignored_by`` names the rule by which it is none of the evidence.
    ``file_stat`` is None where the next change might not show in it. ``is_asked_for``: the mapping's ``reads:`` names it.
    ``unit`` is what its mapping must see at once with it, and None where that is each item.
    """

    path: Path
    source_path: str
    size: int
    problem: str | None = None
    ignored_by: str | None = None
    file_stat: FileStat | None = None
    is_asked_for: bool = False
    unit: str | None = None
    archive_path: str | None = None

    @property
    def source(self) -> str:
        """The source: the first part of the path, without endings."""
        return source_of(self.source_path)

    @property
    def format(self) -> Format | None:
        """How it holds its items; None where its name does not say, and nobody asks for it."""
        name = unpacked_name(self.source_path)
        found = next((known for known, ending in _FORMATS.items() if ending.search(name)), None)
        if found in _NEVER_PACKED and self.packing:
            found = None
        return found or ("text" if self.is_asked_for else None)

    @property
    def packing(self) -> str | None:
        """How it is compressed: gz, zst, bz2, xz or None."""
        found = _PACKED.search(self.source_path)
        return found[1].lower() if found else None


def unpacked_name(source_path: str) -> str:
    """Return a path without the ending of its compression."""
    return _PACKED.sub("", source_path)


def as_folders(source_path: str) -> str:
    """Return a path in which an archive is a folder; it has the same length."""
    return _END_OF_ARCHIVE.sub("/", source_path, count=1)


def source_of(source_path: str) -> str:
    """Return the source that a path names with its first part: a folder, or a file (or archive) without its endings."""
    first, *others = _END_OF_ARCHIVE.split(source_path, maxsplit=1)[0].split("/")
    if others:
        return first
    name = unpacked_name(first)
    return next((ending.sub("", name) for ending in _FORMATS.values() if ending.search(name)), PurePosixPath(name).stem)


def spelled(name: str) -> str:
    """Return the path by which a file of the evidence folder is known, given its name there. No two names give the same path.

    Names are bytes, which count as UTF-8 whatever the locale says. A byte that is not UTF-8 becomes the replacement character
    and the value of the byte in two digits. So do the bytes of a replacement character, and the mark at which the path of an
    archive would end.
    """
    text = os.fsencode(name).decode("utf-8", "surrogateescape")
    marked = _END_OF_ARCHIVE.sub("\udc21", text.replace("\ufffd", "\udcef\udcbf\udcbd"))
    return _ODD_BYTE.sub(lambda byte: f"\ufffd{ord(byte[0]) - 0xDC00:02x}", marked)


def name_on_disk(source_path: str) -> str:
    """Return the name of a file in the evidence folder, given the path by which it is known: the reverse of ``spelled``."""
    return os.fsdecode(_SPELLED_BYTE.sub(lambda byte: bytes.fromhex(byte[1].decode()), source_path.encode()))


@dataclass(frozen=True, slots=True)
class Run:
    """The inputs of a run, and the warehouse and the exports folder that it builds.

    ``evidence`` are the files of the evidence folder, where they are known already. The files in ``untouched`` have not
    changed since the published warehouse, of which this one is a copy, collected them. ``anew`` are the sources that are
    collected again as a whole, although the warehouse may have them. ``lineage`` is that of the warehouse's views, where it is
    known. ``intact`` are the published files (``exports/…``) that are as their receipts say, of stages whose settings have not
    changed: a part of a dataset that has not changed either is a second name of one.
    """

    project: Project
    settings: Settings
    sql: Sql
    warehouse: Warehouse
    exports: Path
    progress: Progress = show_nothing
    evidence: tuple[EvidenceFile, ...] | None = None
    untouched: frozenset[str] = frozenset()
    anew: frozenset[str] = frozenset()
    lineage: Lineage | None = None
    intact: frozenset[str] = frozenset()

    def beside(self) -> "Run":
        """Return the same run for another thread: with a cursor of its own on the same warehouse."""
        return replace(self, warehouse=self.warehouse.cursor())


@dataclass(frozen=True, slots=True)
class Clock:
    """The receipts' clock. A pinned clock stands still, so all durations are zero."""

    pinned: datetime | None = None

    def now(self) -> datetime:
        """Return the time in UTC."""
        return self.pinned or datetime.now(UTC)

    def seconds(self) -> float:
        """Return seconds from an arbitrary start; the difference of two readings is a duration."""
        return 0.0 if self.pinned else monotonic()


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a run: what it does, which relations it reads and writes, and which dataset it exports, if any.

    ``reads`` and ``writes`` are the relations that its receipt hashes, ``counts`` the one that tells what became of the rows;
    ``uses`` are others that its body asks for.
    Whether the stage is stale follows from these relations, the settings that they name, and its files, and from nothing
    else. What writes files returns what reads them back.
    """

    name: str
    body: Callable[[Run], Proof | None]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    counts: str = ""
    dataset: Dataset | None = None

    @property
    def relations(self) -> tuple[str, ...]:
        """All relations that decide what the stage makes."""
        return (*self.reads, *self.writes, *self.uses, *filter(None, [self.counts]))

    def settings(self, lineage: Lineage) -> frozenset[str]:
        """Return the names of the settings that can change what the stage makes."""
        return lineage.settings_of(self.relations, self.dataset.name if self.dataset else None)

    @property
    def exports(self) -> tuple[str, ...]:
        """The stems of what it writes under exports/."""
        return (self.dataset.stem, self.dataset.quarantine_stem) if self.dataset else ()


#: Called with the stage around its body and its proof.
Observer = Callable[[Stage], AbstractContextManager[None]]
