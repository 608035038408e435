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


class Stamp(NamedTuple):
    """Size in bytes, times of the last change of content and of anything in nanoseconds, and the inode."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of a file, or of what a link leads to; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def settled_stamp_of(path: Path) -> Stamp | None:
    """Return a file's stamp, if it is sure to change when the file does; None where it is not, or there is no file."""
    stamp = stamp_of(path)
    return stamp if stamp and stamp.ctime_ns < time_ns() - TICK_NS else None


def write_stamps(file: Path, stamps: Mapping[str, Stamp | None], run_id: str | None = None) -> None:
    """Write stamps down by name, and the run that made what they are of; a name without one is left out."""
    known = {name: stamp for name, stamp in stamps.items() if stamp}
    write_text(file, json.dumps({"run_id": run_id, "stamps": known}) + "\n")


def read_stamps(file: Path) -> dict[str, Stamp]:
    """Return the stamps in a file; none where it is not there or is damaged, as nothing is then known to be untouched."""
    try:
        return {name: Stamp(*stamp) for name, stamp in json.loads(file.read_bytes())["stamps"].items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {}


def read_run(file: Path) -> str | None:
    """Return the run that made what the stamps in a file are of, if it is known."""
    try:
        return str(json.loads(file.read_bytes())["run_id"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
