"""Measures what the strict checks of a line cost: the stage collect against the same load without the checks.

Both load the same good lines, in turn, each in its own process. Prints the medians and the ratio of the medians.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from generate import write

#: Times collect in a process that has started; the argument "trusting" removes the checks.
CHILD = """
import os, sys
from pathlib import Path
from time import perf_counter
from etl.ingest import collect
from etl.base.project import Project
from etl.context import Run
from etl.base.settings import Settings
from etl.warehouse.sql_files import Sql
from etl.warehouse.connection import Warehouse

kind, evidence, out = sys.argv[1:]
if kind == "trusting":
    collect.judge = lambda line, max_depth, max_values: None
project = Project.at(Path(out), evidence=Path(evidence))
sql = Sql.of(project.overlay)
run = Run(project, Settings(), sql, Warehouse.create(sql, Settings(), Path(out) / "etl.duckdb"), Path(out))
wall, cpu = perf_counter(), sum(os.times()[:2])
collect.collect(run)
times = perf_counter() - wall, sum(os.times()[:2]) - cpu
print(*times, run.warehouse.one("select count(*) from evidence.record"))
"""
KINDS = ("strict", "trusting")


def measure(kind: str, evidence: Path, lines: int) -> tuple[float, float]:
    """Return the wall seconds and CPU seconds of one load."""
    with tempfile.TemporaryDirectory(prefix="etl-bench-") as out:
        command = [sys.executable, "-c", CHILD, kind, str(evidence), out]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, cpu, loaded = done.stdout.splitlines()[0].split()
    if int(loaded) != lines:
        raise SystemExit(f"{kind}: {loaded} records of {lines} lines")
    return float(wall), float(cpu)


def main() -> None:
    """Measure both kinds in turn, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="etl-bench-evidence-") as folder:
        write(Path(folder) / "evidence.jsonl", chosen.lines, bad_share=0)
        for turn in range(chosen.rounds):
            for kind in KINDS if turn % 2 else reversed(KINDS):
                times[kind].append(measure(kind, Path(folder), chosen.lines))
    for at, what in enumerate(("wall", "CPU")):
        strict, trusting = (statistics.median(time[at] for time in times[kind]) for kind in KINDS)
        sys.stdout.write(f"{what}: strict {strict:.2f} s, trusting {trusting:.2f} s, ratio {strict / trusting:.2f}\n")


if __name__ == "__main__":
    main()
