"""The manifest of known paths: which paths the repository holds that the evidence cites."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from etl.base.errors import UsageError

#: A path as git quotes it: in double quotes, with C escapes and octal bytes. What holds any other escape is not quoted.
_QUOTED = re.compile(rb'"((?:[^\\]|\\[abtnvfr"\\]|\\[0-3][0-7]{2})*)"')


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of known paths: its file, and the distinct paths that it names, sorted."""

    file: Path
    paths: tuple[str, ...]

    def sha256(self) -> str:
        """Return the sha256 hex over the paths, joined by line feeds."""
        return hashlib.sha256("\n".join(self.paths).encode()).hexdigest()


def read_known_paths(file: Path) -> Manifest:
    """Read a manifest: one path a line, quoted or not, as ``git ls-files`` prints them.

    Raises UsageError where the file cannot be read or a path is not UTF-8.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"--known-paths {file}: it cannot be read: {error.strerror}.") from None
    paths = set()
    for number, line in enumerate(lines, start=1):
        if entry := line.removesuffix(b"\r"):
            try:
                paths.add(_unquote(entry).decode())
            except UnicodeDecodeError:
                raise UsageError(f"--known-paths {file}, line {number}: the path is not UTF-8.") from None
    return Manifest(file, tuple(sorted(paths)))


def _unquote(entry: bytes) -> bytes:
    """Return the bytes of a path that git has quoted; any other entry as it stands."""
    quoted = _QUOTED.fullmatch(entry)
    return quoted[1].decode("unicode_escape").encode("latin-1") if quoted else entry
