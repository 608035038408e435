"""Reads the first items of a source, or one item with its unit, as a run reads them, and as little else as it can."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import pyarrow as pa

from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import EvidenceFile
from etl.ingest.directives import Directives
from etl.ingest.files import Rules
from etl.ingest.items import ItemReader
from etl.ingest.judging import Judging
from etl.ingest.mapping import Items
from etl.warehouse.sql_files import Sql

#: A source_path and an item_number.
Place = tuple[str, int]


@dataclass
class Search:
    """What is looked for: the first ``most`` items of the files of a source, or the ``wanted`` ones, which are of one file."""

    project: Project
    settings: Settings
    sql: Sql
    rules: Rules
    source: str
    files: list[EvidenceFile]
    most: int
    wanted: tuple[Place, ...] = ()

    @property
    def directives(self) -> Directives:
        """What the source's mapping says of how it is read."""
        return self.rules.directives.get(self.source, Directives())

    def with_items(self, items: tuple[str, ...]) -> "Search":
        """Return the same search where the source has a mapping with these ``items:``, and no field."""
        directives = self.rules.directives | {self.source: Directives(items=items)}
        return replace(self, rules=replace(self.rules, directives=directives))


def holds(file: EvidenceFile, path: str) -> bool:
    """Return whether a file has a path, or is the archive or the folder that was not entered of what has it."""
    is_archive = file.format == "archive" and path.startswith(f"{file.source_path}!")
    return file.source_path == path or is_archive or (file.ignored_by is not None and path.startswith(f"{file.source_path}/"))


def is_unknown(file: EvidenceFile) -> bool:
    """Return whether a file is one entry because no reader knows its format."""
    return file.format is None and file.path.is_file()


class _EnoughError(Exception):
    """What was looked for is read."""


@dataclass
class Taken:
    """Items as they are read; a ``Sink`` that ends the reading after ``most`` of them, or after the last of ``only``.

    ``ends`` has the number of the last item that was read of each file.
    """

    source: str
    most: int | None = None
    only: frozenset[int] | None = None
    items: list[Items] = field(default_factory=list)
    skipped: list[tuple[Any, ...]] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)
    _path: str = ""
    _unit: str | None = None

    def begin(self, path: str, unit: str | None) -> None:
        """Begin with the items of another file, or member of an archive."""
        self._path, self._unit = path, unit

    def accept(self, numbers: Sequence[int], rows: pa.Table, pointers: Sequence[str] = ()) -> None:
        """Take items that the judge passed."""
        places = [place for place, number in enumerate(numbers) if self.only is None or number in self.only]
        if places:
            own = [pointers[place] for place in places] if pointers else []
            self.items.append(Items(self._path, self._unit, [numbers[place] for place in places], rows.take(places), own))

    def skip(self, number: int, digest: str | None, reason: str, detail: str | None = None, raw: bytes | None = None) -> None:
        """Take an item that is refused, or an entry for the file as a whole."""
        if self.only is None or number in self.only or number == 0:
            self.skipped.append((self.source, self._path, number, digest, reason, detail, raw))

    def step(self, last: int) -> None:
        """End the reading if this is enough. Raises _EnoughError."""
        self.ends[self._path] = last
        if self.only is not None and last >= max(self.only):
            raise _EnoughError
        if self.most is not None and self.count >= self.most:
            self._drop(self.count - self.most)
            raise _EnoughError

    def forget(self, path: str, after_item: int = -1) -> None:
        """Do nothing: there is nothing of an earlier run."""

    @property
    def count(self) -> int:
        """How many items and entries were taken."""
        return sum(len(items.numbers) for items in self.items) + len(self.skipped)

    def _drop(self, surplus: int) -> None:
        """Drop the last items of the file that is read: they came at once with those that are wanted."""
        numbers = [number for items in self.items if items.source_path == self._path for number in items.numbers]
        numbers += [row[2] for row in self.skipped if row[1] == self._path]
        last = sorted(numbers)[-surplus - 1] if surplus < len(numbers) else -1
        if surplus:
            self.skipped = [row for row in self.skipped if row[1] != self._path or row[2] <= last]
            for items in self.items:
                if items.source_path == self._path:
                    items.cut(bisect_right(items.numbers, last))


def _units(search: Search, reader: ItemReader, is_whole: bool) -> Iterator[list[EvidenceFile]]:
    """Yield the files, and members of archives, that are mapped together; of a source that is mapped item by item, each file.

    Nothing but these is read, and no archive is opened before its turn. Where items are wanted, they are in what is yielded.
    """
    files = [file for file in search.files if not file.ignored_by]
    if is_whole:
        groups = [files]
    elif search.directives.grain == "item":
        groups = [[file] for file in files]
    else:
        files.sort(key=lambda file: (file.unit or "", file.source_path))
        groups = [[*group] for _, group in groupby(files, key=lambda file: file.unit)]
    path = search.wanted[0][0] if search.wanted else None
    for group in groups:
        if path is not None and not any(holds(file, path) for file in group):
            continue
        for _, members in groupby(reader.in_order(group), key=lambda file: file.unit):
            unit = [*members]
            if path is None or any(path == file.source_path or holds(file, path) for file in unit):
                yield _wanted_alone(unit, path) if search.directives.grain == "item" and not is_whole else unit


def _wanted_alone(files: list[EvidenceFile], path: str | None) -> list[EvidenceFile]:
    return [file for file in files if path is None or holds(file, path)]


def read_units(search: Search, is_whole: bool) -> Iterator[Taken]:
    """Yield what is read, unit by unit, as long as more is asked for."""
    by_item = search.directives.grain == "item" and not is_whole
    wanted = frozenset(number for _, number in search.wanted) or None
    taken = Taken(search.source, search.most if by_item and wanted is None else None, wanted if by_item else None)
    paths = [file.source_path for file in search.files]
    with closing(
        ItemReader(search.settings, search.rules, search.directives, paths, taken, Judging(), is_hashing=False)
    ) as reader:
        for unit in _units(search, reader, is_whole):
            with suppress(_EnoughError):
                for file in unit:
                    if wanted is not None or not is_unknown(file):
                        reader.read(file)
            yield taken
            if taken.most is not None:
                taken.most -= taken.count
            taken.items, taken.skipped = [], []


@dataclass
class Kept:
    """The bytes of what was read, by place."""

    items: list[Items] = field(default_factory=list)
    skipped: dict[Place, tuple[Any, ...]] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)

    def keep(self, taken: Taken) -> None:
        """Keep what was taken."""
        self.items += taken.items
        self.skipped |= {(row[1], row[2]): row for row in taken.skipped}
        self.ends |= taken.ends

    def find(self, place: Place) -> tuple[Items, int] | None:
        """Return the items among which one is that the judge passed, and its index there."""
        for items in self.items:
            if items.source_path == place[0] and items.numbers[:1] <= [place[1]] <= items.numbers[-1:]:
                index = bisect_right(items.numbers, place[1]) - 1
                if items.numbers[index] == place[1]:
                    return items, index
        return None

    def places(self) -> list[Place]:
        """Return all places in order."""
        passed = [(items.source_path, number) for items in self.items for number in items.numbers]
        return sorted([*passed, *self.skipped])
