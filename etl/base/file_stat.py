"""A file's stamp: what the file system says of it, so that a file that nobody touched need not be read again."""

import json
from collections.abc import Mapping
from pathlib import Path
from time import time_ns
from typing import NamedTuple

from etl.base.files import write_text

#: A file changed so shortly before its stamp was taken may change again without its times showing it: their clock ticks
#: more slowly than their unit. Linux's ticks every 10 ms at the slowest.
TICK_NS = 50_000_000

#: The names of the published stamps, beside the paths of the exports.
WAREHOUSE, RECEIPTS = "warehouse", "receipts"


class FileStat(NamedTuple):
    """Size in bytes, times of the last change of content and of anything in nanoseconds, and the inode."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def stat_of(path: Path) -> FileStat | None:
    """Return the stamp of a file, or of what a link leads to; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def settled_stat_of(path: Path) -> FileStat | None:
    """Return a file's stamp, if it is sure to change when the file does; None where it is not, or there is no file."""
    stat = stat_of(path)
    return stat if stat and stat.ctime_ns < time_ns() - TICK_NS else None


def write_stats(file: Path, file_stats: Mapping[str, FileStat | None], run_id: str | None = None) -> None:
    """Write file stats down by name, and the run that made what they are of; a name without one is left out."""
    known = {name: stat for name, stat in file_stats.items() if stat}
    write_text(file, json.dumps({"run_id": run_id, "file_stats": known}) + "\n")


def read_stats(file: Path) -> dict[str, FileStat]:
    """Return the file stats in a file; none where it is not there or is damaged, as nothing is then known to be untouched."""
    try:
        return {name: FileStat(*stat) for name, stat in json.loads(file.read_bytes())["file_stats"].items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {}


def read_run(file: Path) -> str | None:
    """Return the run that made what the file stats in a file are of, if it is known."""
    try:
        return str(json.loads(file.read_bytes())["run_id"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
