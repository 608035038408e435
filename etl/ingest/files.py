"""The evidence folder: its files, and the source of each."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from pathspec import GitIgnoreSpec

from etl.base.errors import NotFoundError, UsageError
from etl.base.file_stat import settled_stat_of
from etl.context import IGNORE_FILE, EvidenceFile, as_folders, source_of, spelled, unpacked_name
from etl.ingest.directives import Directives, directives_of
from etl.warehouse.sql_files import Sql

#: The rules by which a file is none of the evidence, as receipts call them.
HIDDEN, READS = "hidden", "reads:"
IGNORED_NAMES = ("README*", "LICENSE*", "*.md")


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides of each file of a folder whether it is evidence: .etlignore, and the directives of each source's mapping."""

    patterns: GitIgnoreSpec
    directives: dict[str, Directives]

    @classmethod
    def of(cls, folder: Path, sql: Sql) -> "Rules":
        """Read the rules. Raises UsageError where .etlignore cannot be read, SqlError where a directive does not work."""
        directives = {mapping.name: directives_of(mapping) for mapping in sql.mappings}
        return cls(_read_ignore_file(folder / IGNORE_FILE), directives)

    def asks_for(self, source_path: str) -> bool | None:
        """Return whether the ``reads:`` of its source names a file; None where the source has no such directive."""
        reads = self.directives.get(source_of(source_path), Directives()).reads
        if reads is None:
            return None
        path = as_folders(source_path)
        folder, _, below = path.partition("/")
        is_one_file = not source_path.startswith(f"{folder}/")  # also where it is an archive
        return reads.match_file(unpacked_name(path if is_one_file else below))

    def ignores(self, source_path: str) -> str | None:
        """Return the rule by which a file is none of the evidence, if one says so."""
        is_asked_for = self.asks_for(source_path)
        if is_asked_for:
            return None
        path = as_folders(source_path)
        parts = path.split("/")
        if any(part.startswith(".") for part in parts):
            return HIDDEN
        if by_name := next((rule for rule in IGNORED_NAMES if fnmatchcase(parts[-1], rule)), None):
            return by_name
        if self.patterns.match_file(path):
            return IGNORE_FILE
        return READS if is_asked_for is False else None

    def described(self, file: EvidenceFile) -> EvidenceFile:
        """Return a file with what the rules say of it."""
        is_asked_for = self.asks_for(file.source_path) is True
        ignored_by = self.ignores(file.source_path)
        if ignored_by == READS and file.format == "archive":
            ignored_by = None  # the directive may name members of it
        return replace(file, ignored_by=ignored_by, is_asked_for=is_asked_for)


def find_evidence(folder: Path, sql: Sql, follow_links: bool = False) -> list[EvidenceFile]:
    """Return every file below the evidence folder, sorted by ``source_path``; those that are ignored name the rule.

    A hidden folder is one entry, unless a ``reads:`` may name files in it. A link that leads out of the folder is found, but
    not followed unless asked to. Raises NotFoundError where there is no folder, UsageError where .etlignore or a directive
    cannot be read.
    """
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: there is no such evidence folder; name one with --evidence DIR.")
    home, rules = folder.resolve(), Rules.of(folder, sql)
    picky = {source for source, directives in rules.directives.items() if directives.reads}

    def leads_out(entry: os.DirEntry[str]) -> bool:
        if follow_links or not entry.is_symlink():
            return False
        path = Path(entry.path)
        return path.exists() and not path.resolve().is_relative_to(home)

    def enters(entry: os.DirEntry[str]) -> bool:
        return not entry.name.startswith(".") or Path(entry.path).relative_to(folder).parts[0] in picky

    found = [_found(path, folder, is_outside) for path, is_outside in _below(folder, home, leads_out, enters)]
    files = [rules.described(file) for file in found]
    return with_units(sorted(files, key=lambda file: file.source_path), rules)


def with_units(files: Sequence[EvidenceFile], rules: Rules) -> list[EvidenceFile]:
    """Return files (all of their sources, or of one archive and around it) with the units of their sources' grains."""
    paths = {file.source_path for file in files}
    return [
        replace(file, unit=unit_of(file.source_path, rules.directives.get(file.source, Directives()), paths)) for file in files
    ]


def unit_of(source_path: str, directives: Directives, paths: Collection[str]) -> str | None:
    """Return the unit of a file: what its mapping must see at once; None for the grain ``item``.

    For ``folder NAME`` that is the innermost folder, or archive, that holds a file NAME, which may be ignored; ``paths`` are
    those of all files. A file that no such folder holds is a unit by itself, and so is one in no folder of its source.
    """
    if directives.grain == "item":
        return None
    if directives.grain == "source":
        return source_of(source_path)
    if directives.grain == "folder":
        ends = [place.start() for place in re.finditer("/", as_folders(source_path))]
        for end in reversed(ends):
            if directives.folder == "*" or f"{source_path[: end + 1]}{directives.folder}" in paths:
                return source_path[:end]
    return source_path


def _read_ignore_file(file: Path) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return GitIgnoreSpec.from_lines([])
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: it cannot be read as patterns of gitignore ({error}).") from None


def _below(
    folder: Path, home: Path, leads_out: Callable[[os.DirEntry[str]], bool], enters: Callable[[os.DirEntry[str]], bool]
) -> Iterator[tuple[Path, bool]]:
    """Yield the path of each file, or of a folder that is not entered, and whether it leads out of ``home``, the real one."""
    left: list[tuple[Path, tuple[Path, ...]]] = [(folder, (home,))]
    while left:
        place, ancestors = left.pop()
        try:
            entries = [*os.scandir(place)]
        except OSError:
            yield place, False  # its reader will say why it cannot be read
            continue
        for entry in entries:
            path = place / entry.name
            if not _is_folder(entry) or not enters(entry):
                yield path, leads_out(entry)
            elif leads_out(entry):
                yield path, True  # named, and refused
            else:
                real = path.resolve() if entry.is_symlink() else ancestors[-1] / entry.name
                if real not in ancestors:
                    left.append((path, (*ancestors, real)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads in a circle


def _found(path: Path, folder: Path, is_outside: bool) -> EvidenceFile:
    name = path.relative_to(folder).as_posix()
    problem = "it leads out of the evidence folder; --follow-links follows it" if is_outside else None
    if as_folders(name) != name:
        problem = "its name is that of a member of an archive; rename it"
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return EvidenceFile(path, spelled(name), size, problem, file_stat=settled_stat_of(path))
