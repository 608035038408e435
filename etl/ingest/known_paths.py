"""The manifest of known paths: which paths the repository holds that the evidence cites."""

import codecs
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from etl.base.errors import UsageError

#: A path as git quotes it: in double quotes, with C escapes and octal bytes. What holds any other escape is not quoted.
_QUOTED = re.compile(rb'"((?:[^\\]|\\[abtnvfr"\\]|\\[0-3][0-7]{2})*)"')

#: What git never prints of a path as it is.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of known paths: its file, and the distinct paths that it names, sorted."""

    file: Path
    paths: tuple[str, ...]

    def sha256(self) -> str:
        """Return the sha256 hex over the paths, joined by line feeds."""
        return hashlib.sha256("\n".join(self.paths).encode()).hexdigest()


def read_known_paths(file: Path, asked_by: str = "--known-paths") -> Manifest:
    """Read a manifest: paths as ``git ls-files`` prints them, one a line, quoted or not; or each ended by NUL, as with ``-z``.

    A byte order mark is read over. Raises UsageError where the file cannot be read, or is not such a list; the sentence begins
    with ``asked_by``.
    """
    named = f"{asked_by} {file}"
    try:
        content = file.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UsageError(f"{named}: it cannot be read: {error.strerror}.") from None
    if b"\0" not in content:
        paths = {_line(named, number, line) for number, line in enumerate(content.split(b"\n"), start=1)}
    elif content.endswith(b"\0"):
        paths = {_decoded(named, f"path {number}", path) for number, path in enumerate(content.split(b"\0"), start=1)}
    else:
        raise UsageError(f"{named}: it holds NUL, but does not end with one; write it with git ls-files -z.")
    return Manifest(file, tuple(sorted(paths - {""})))


def _line(named: str, number: int, line: bytes) -> str:
    entry = line.removesuffix(b"\r")
    if _CONTROL.search(entry):
        raise UsageError(
            f"{named}, line {number}: it holds a control character, which git would quote; "
            "write one path a line, or write the file with git ls-files."
        )
    return _decoded(named, f"line {number}", _unquote(entry))


def _decoded(named: str, place: str, path: bytes) -> str:
    try:
        return path.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{named}, {place}: the path is not UTF-8.") from None


def _unquote(entry: bytes) -> bytes:
    """Return the bytes of a path that git has quoted; any other entry as it stands."""
    quoted = _QUOTED.fullmatch(entry)
    return quoted[1].decode("unicode_escape").encode("latin-1") if quoted else entry
