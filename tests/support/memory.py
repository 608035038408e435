"""How much memory a command takes at most."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

#: Runs a command, then prints its exit code and its peak. The system counts what a process had before it became the command,
#: too (and a process that is started shares the memory of its parent until then), so this small process starts it, and not
#: the one that tests, which may be large.
WATCH = """
import resource, subprocess, sys

done = subprocess.run(sys.argv[1:])
print(f"\\n{done.returncode} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024}")
"""


class Watched(NamedTuple):
    """What came of a command; peak: the most bytes of memory that it had at once."""

    exit_code: int
    stdout: str
    stderr: str
    peak: int


def watched(*command: str | Path) -> Watched:
    """Run a command in a process of its own and watch its memory."""
    given = [sys.executable, "-c", WATCH, *map(str, command)]
    done = subprocess.run(given, capture_output=True, text=True, check=True)
    stdout, _, last = done.stdout.removesuffix("\n").rpartition("\n")
    code, peak = map(int, last.split())
    return Watched(code, stdout, done.stderr, peak)
