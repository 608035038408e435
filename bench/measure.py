"""Runs a command and measures the wall time, CPU time and memory of its process and of all processes that it started."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

#: Bytes in a unit of peak memory: Linux counts KiB, macOS counts bytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024

#: The product as its users install it: in an environment without the peers' packages.
COMMAND = Path(__file__).parent.parent / ".venv" / "bin" / "etl"

#: Exit codes of the product after which a new version is published: passed; some lines were skipped; drift alerts.
PUBLISHED = (0, 1, 3)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of running a command: wall seconds, CPU seconds, and the peak of resident memory in bytes."""

    wall: float
    cpu: float
    rss: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of the medians, and the least and largest ratio of a round."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}..{self.most:.2f})"


def measure(command: Sequence[str], passing: Sequence[int] = (0,)) -> Cost:
    """Run a command to its end and return its cost; stop if its exit code is not one of ``passing``.

    A process inherits the peak memory of the process that starts it, so the caller must stay small.
    """
    with tempfile.TemporaryFile() as messages:
        start = perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=messages)
        _, status, usage = os.wait4(process.pid, 0)
        wall = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in passing:
            messages.seek(0)
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{messages.read().decode()}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * RSS_UNIT)


def run_product(root: Path, evidence: Path, *options: str) -> Cost:
    """Run every stage of the product whose inputs changed, and return the cost."""
    command = [str(COMMAND), "run-all", "--root", str(root), "--evidence", str(evidence), *options]
    cost = measure(command, PUBLISHED)
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


def as_json(rounds: Sequence[Cost]) -> list[dict[str, float]]:
    """Return rounds as JSON."""
    return [{name: round(value, 3) for name, value in asdict(cost).items()} for cost in rounds]
