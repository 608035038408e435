"""The evidence folder: its files, and the source of each."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from etl.base.errors import NotFoundError
from etl.base.file_stat import settled_stat_of
from etl.context import EvidenceFile

#: How Python holds a byte of a file name that is not UTF-8.
_ODD_BYTE = re.compile("[\udc80-\udcff]")

_EVIDENCE = re.compile(r"\.jsonl(\.gz|\.zst)?$")


def find_evidence(folder: Path, follow_links: bool = False) -> list[EvidenceFile]:
    """Return the evidence files below a folder, sorted by ``source_path``.

    A link that leads out of the folder is found, but not followed unless asked to. Raises NotFoundError where there is
    no folder.
    """
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: there is no such evidence folder; name one with --evidence DIR.")
    home = folder.resolve()

    def leads_out(entry: os.DirEntry[str]) -> bool:
        if follow_links or not entry.is_symlink():
            return False
        path = Path(entry.path)
        return path.exists() and not path.resolve().is_relative_to(home)

    files = [_described(path, folder, is_outside) for path, is_outside in _below(folder, (home,), leads_out)]
    return sorted(files, key=lambda file: file.source_path)


def _below(
    folder: Path, ancestors: tuple[Path, ...], leads_out: Callable[[os.DirEntry[str]], bool]
) -> Iterator[tuple[Path, bool]]:
    """Yield the path of each file of evidence, or of a folder that cannot be entered, and whether it leads out."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder, False  # its reader will say why it cannot be read
        return
    for entry in entries:
        path = folder / entry.name
        if _EVIDENCE.search(entry.name):
            yield path, leads_out(entry)
        elif _is_folder(entry):
            if leads_out(entry):
                yield path, True  # named, and refused
                continue
            real = path.resolve() if entry.is_symlink() else ancestors[-1] / entry.name
            if real not in ancestors:
                yield from _below(path, (*ancestors, real), leads_out)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads in a circle


def _described(path: Path, folder: Path, is_outside: bool) -> EvidenceFile:
    # a byte that is not UTF-8 becomes the replacement character and the value of the byte
    name = path.relative_to(folder).as_posix()
    source_path = _ODD_BYTE.sub(lambda byte: f"\ufffd{ord(byte[0]) - 0xDC00:02x}", name)
    problem = "it leads out of the evidence folder; --follow-links follows it" if is_outside else None
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return EvidenceFile(path, source_of(source_path), source_path, size, problem, settled_stat_of(path))


def source_of(source_path: str) -> str:
    """Return the source that a path names with its first part."""
    first, slash, _ = source_path.partition("/")
    return first if slash else _EVIDENCE.sub("", first)
