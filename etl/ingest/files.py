"""The evidence folder: its files, and the source of each."""

import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pathspec import GitIgnoreSpec

from etl.base.errors import NotFoundError, UsageError
from etl.base.file_stat import settled_stat_of
from etl.context import EvidenceFile

#: How Python holds a byte of a file name that is not UTF-8.
_ODD_BYTE = re.compile("[\udc80-\udcff]")

#: The rules by which a file is none of the evidence, as receipts call them.
HIDDEN, IGNORE_FILE = "hidden", ".etlignore"
IGNORED_NAMES = ("README*", "LICENSE*", "*.md")


def find_evidence(folder: Path, follow_links: bool = False) -> list[EvidenceFile]:
    """Return every file below the evidence folder, sorted by ``source_path``; those that are ignored name the rule.

    A hidden folder is one entry. A link that leads out of the folder is found, but not followed unless asked to. Raises
    NotFoundError where there is no folder, UsageError where .etlignore cannot be read.
    """
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: there is no such evidence folder; name one with --evidence DIR.")
    home, patterns = folder.resolve(), _read_ignore_file(folder / IGNORE_FILE)

    def leads_out(entry: os.DirEntry[str]) -> bool:
        if follow_links or not entry.is_symlink():
            return False
        path = Path(entry.path)
        return path.exists() and not path.resolve().is_relative_to(home)

    files = [_described(path, folder, is_outside, patterns) for path, is_outside in _below(folder, (home,), leads_out)]
    return sorted(files, key=lambda file: file.source_path)


def _read_ignore_file(file: Path) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return GitIgnoreSpec.from_lines([])
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: it cannot be read as patterns of gitignore ({error}).") from None


def _below(
    folder: Path, ancestors: tuple[Path, ...], leads_out: Callable[[os.DirEntry[str]], bool]
) -> Iterator[tuple[Path, bool]]:
    """Yield the path of each file, or of a folder that is not entered, and whether it leads out."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder, False  # its reader will say why it cannot be read
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith(".") or not _is_folder(entry):
            yield path, leads_out(entry)
        elif leads_out(entry):
            yield path, True  # named, and refused
        else:
            real = path.resolve() if entry.is_symlink() else ancestors[-1] / entry.name
            if real not in ancestors:
                yield from _below(path, (*ancestors, real), leads_out)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads in a circle


def _described(path: Path, folder: Path, is_outside: bool, patterns: GitIgnoreSpec) -> EvidenceFile:
    # a byte that is not UTF-8 becomes the replacement character and the value of the byte
    name = path.relative_to(folder).as_posix()
    source_path = _ODD_BYTE.sub(lambda byte: f"\ufffd{ord(byte[0]) - 0xDC00:02x}", name)
    problem = "it leads out of the evidence folder; --follow-links follows it" if is_outside else None
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return EvidenceFile(path, source_path, size, problem, _ignored_by(path.name, source_path, patterns), settled_stat_of(path))


def _ignored_by(name: str, source_path: str, patterns: GitIgnoreSpec) -> str | None:
    """Return the rule by which a file is none of the evidence, if one says so."""
    if name.startswith("."):
        return HIDDEN
    by_name = next((rule for rule in IGNORED_NAMES if fnmatchcase(name, rule)), None)
    return by_name or (IGNORE_FILE if patterns.match_file(source_path) else None)
