"""Runs a command and measures the wall time, CPU time and memory of its process and of all processes that it started.

CPU time is user and system time together. How busy the machine is with other programs is kept beside it, since they make each
second longer, also each CPU second. The load average counts the runs before, too; so the cores that are busy are counted as
well, from /proc/stat, where the system has it: for a moment before a run, and during the run, less its own.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import perf_counter, sleep

#: Bytes in a unit of peak memory: Linux counts KiB, macOS counts bytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024

#: The product as its users install it: in an environment without the peers' packages.
COMMAND = Path(__file__).parent.parent / ".venv" / "bin" / "etl"

#: Cores that other programs may keep busy, of each core, before a run and during a run, before it is not to be trusted.
QUIET_BEFORE = 0.5
QUIET_DURING = 0.1

#: How long cores are watched before a run, in seconds.
_MOMENT = 0.3

_STAT = Path("/proc/stat")

#: What tells libraries that have threads of their own how many.
_THREAD_COUNTS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS")

#: Exit codes of the product after which a new version is published: passed; some lines were skipped; drift alerts.
PUBLISHED = (0, 1, 3)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of running a command: wall seconds, CPU seconds, and the peak of resident memory in bytes.

    ``load`` is the load average over a minute before the command, ``busy`` the cores that were busy in the moment before it,
    and ``others`` the cores that other programs kept busy meanwhile, on average.
    """

    wall: float
    cpu: float
    rss: int
    load: float = 0.0
    busy: float = 0.0
    others: float = 0.0

    @property
    def is_quiet(self) -> bool:
        """Whether other programs left the machine to the command."""
        cores = os.cpu_count() or 1
        return self.busy <= QUIET_BEFORE * cores and self.others <= QUIET_DURING * cores


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of the medians, and the least and largest ratio of a round."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}..{self.most:.2f})"


def busy_seconds() -> float:
    """Return for how many seconds the cores have been busy since the machine started, or taken away by its host."""
    if not _STAT.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = map(int, _STAT.read_text("ascii").split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def busy_cores() -> float:
    """Return how many cores are busy at the moment."""
    before = busy_seconds()
    sleep(_MOMENT)
    return (busy_seconds() - before) / _MOMENT


def measure(command: Sequence[str], passing: Sequence[int] = (0,), threads: int | None = None) -> Cost:
    """Run a command to its end and return its cost; stop if its exit code is not one of ``passing``.

    A process inherits the peak memory of the process that starts it, so the caller must stay small. The peaks of the command
    and of the processes that it starts are added, as if all came at once. ``threads`` is told to the libraries that have
    threads of their own; the command itself must tell the engine.
    """
    environment = os.environ | (dict.fromkeys(_THREAD_COUNTS, str(threads)) if threads else {})
    load, busy, before = os.getloadavg()[0], busy_cores(), busy_seconds()
    with tempfile.TemporaryFile() as messages:
        start = perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=messages, env=environment)
        with _watched_children(process.pid) as beside:
            _, status, usage = os.wait4(process.pid, 0)
            wall = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in passing:
            messages.seek(0)
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{messages.read().decode()}")
    cpu = usage.ru_utime + usage.ru_stime
    others = max(0.0, busy_seconds() - before - cpu) / wall
    return Cost(wall, cpu, usage.ru_maxrss * RSS_UNIT + sum(beside.values()), load, busy, others)


@contextmanager
def _watched_children(parent: int) -> Iterator[dict[str, int]]:
    """Give the peak memory of each process that another starts, in bytes, as far as it was seen; nothing without /proc."""
    peaks: dict[str, int] = {}
    ended = Event()

    def watch() -> None:
        while not ended.wait(_MOMENT):
            with suppress(OSError, IndexError):  # one may have ended
                for task in Path(f"/proc/{parent}/task").iterdir():
                    for child in (task / "children").read_text("ascii").split():
                        status = Path(f"/proc/{child}/status").read_text("ascii")
                        peaks[child] = int(status.partition("VmHWM:")[2].split()[0]) * 1024

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peaks
    finally:
        ended.set()
        watcher.join()


def run_product(root: Path, evidence: Path, *options: str, threads: int | None = None) -> Cost:
    """Run every stage of the product whose inputs changed, and return the cost."""
    command = [str(COMMAND), "run-all", "--root", str(root), "--evidence", str(evidence), *options]
    command += ["--set", f"threads={threads}"] if threads else []
    cost = measure(command, PUBLISHED, threads)
    run = max(root.glob("reports/distillation/*/summary.json")).parent
    for stage in json.loads((run / "summary.json").read_bytes())["stages"]:
        if stage["status"] not in {"ok", "reused"}:
            receipt = json.loads((run / f"{stage['name']}.json").read_bytes())
            raise SystemExit(f"{' '.join(command)}: {stage['name']} {stage['status']}: {receipt['validation']['errors']}")
    return cost


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """Give an empty folder, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="etl-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def ratio(ours: Sequence[Cost], theirs: Sequence[Cost], of: Callable[[Cost], float], scale: float = 1) -> Ratio:
    """Return the ratio of two series of rounds, each ratio divided by ``scale``."""
    of_rounds = [of(one) / of(other) / scale for one, other in zip(ours, theirs, strict=True)]
    return Ratio(median(map(of, ours)) / median(map(of, theirs)) / scale, min(of_rounds), max(of_rounds))


def warnings(name: str, rounds: Sequence[Cost]) -> Iterator[str]:
    """Yield a warning for each round that other programs disturbed."""
    for turn, cost in enumerate(rounds, start=1):
        if not cost.is_quiet:
            yield (
                f"warning: {name}, round {turn}: other programs kept {cost.busy:.1f} of {os.cpu_count()} cores busy before it, "
                f"and {cost.others:.1f} meanwhile"
            )


def as_json(rounds: Sequence[Cost]) -> list[dict[str, float]]:
    """Return rounds as JSON."""
    return [{name: round(value, 3) for name, value in asdict(cost).items()} for cost in rounds]
