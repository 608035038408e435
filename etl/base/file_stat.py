"""What the file system says of a file. Where it has not changed, the file need not be read again."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import sleep, time_ns
from typing import NamedTuple

from pydantic import BaseModel

from etl.base.files import write_text

#: A file that was changed less than this before may change again without a new time, because the clock of file times ticks
#: more slowly than their unit: on Linux every 10 ms at the slowest.
TICK_NS = 50_000_000

#: The names of two file stats of the published version; the others are named by their paths.
WAREHOUSE, RECEIPTS = "warehouse", "receipts"


class FileStat(NamedTuple):
    """Size in bytes, times of the last change of content and of anything in nanoseconds, and the inode."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class _Stats(BaseModel):
    """What a file of file stats holds."""

    run_id: str | None = None
    file_stats: dict[str, FileStat] = {}


def stat_of(path: Path) -> FileStat | None:
    """Return the stats of a file, or of what a link leads to; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def settled_stat_of(path: Path) -> FileStat | None:
    """Return the stats of a file if they will change when the file does; else, or where there is no file, None."""
    stat = stat_of(path)
    return stat if stat and stat.ctime_ns < time_ns() - TICK_NS else None


def settle(files: Iterable[Path]) -> None:
    """Wait until the stats of files will change when the files do: a moment, where one has just changed, by its names too."""
    last_change = max((stat.ctime_ns for file in files if (stat := stat_of(file))), default=0)
    left_ns = last_change + TICK_NS - time_ns()
    if 0 <= left_ns <= TICK_NS:  # a clock that was set back would have it wait for long
        sleep((left_ns + TICK_NS // 10) / 1e9)


def write_stats(file: Path, file_stats: Mapping[str, FileStat | None], run_id: str | None = None) -> None:
    """Write file stats by name, and the run that made the files; names without stats are left out."""
    known = {name: stat for name, stat in file_stats.items() if stat}
    write_text(file, json.dumps({"run_id": run_id, "file_stats": known}) + "\n")


def read_stats(file: Path) -> dict[str, FileStat]:
    """Return the stats in a file by name; none where the file is missing or damaged."""
    return _read(file).file_stats


def read_run(file: Path) -> str | None:
    """Return the run that made the files whose stats are in a file; None where it is not known."""
    return _read(file).run_id


def _read(file: Path) -> _Stats:
    try:
        return _Stats.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return _Stats()
