"""Times a full run of the product against the bare DuckDB script beside this file, on the same bytes, in turn.

Prints the median of each and the ratio of the medians; a ratio holds where the machine's speed drifts, a time does not.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import duckdb
from generate import write

BASELINE = Path(__file__).with_name("minimal.sql")


def product(evidence: Path, out: Path) -> None:
    """Run everything, in a process of its own."""
    command = [sys.executable, "-m", "etl", "run-all", "--root", str(out), "--evidence", str(evidence)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not (out / "exports").is_dir():
        raise SystemExit(done.stderr)


def minimal(evidence: Path, out: Path) -> None:
    """Run the bare script, in a process of its own."""
    script = BASELINE.read_text(encoding="utf-8").replace("$EVIDENCE", str(evidence)).replace("$OUT", str(out))
    code = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.stdin.read())"
    subprocess.run([sys.executable, "-c", code, str(out / "minimal.duckdb")], input=script, text=True, check=True)


def timed(job: Callable[[Path, Path], None], evidence: Path) -> tuple[float, float, Path]:
    """Return the wall seconds and CPU seconds of a job, and the folder that it wrote."""
    out = Path(tempfile.mkdtemp(prefix="etl-bench-"))
    before, start = os.times(), perf_counter()
    job(evidence, out)
    wall, after = perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, out


def rows(out: Path, patterns: tuple[str, str, str]) -> list[int]:
    """Return how many rows each dataset has."""
    return [
        duckdb.execute("select count(*) from read_parquet(?)", [str(out / pattern)]).fetchall()[0][0]
        for pattern in patterns
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="etl-bench-evidence-"))
    write(folder / "evidence.jsonl", chosen.lines)
    walls: dict[str, list[float]] = {"etl": [], "minimal": []}
    cpus: dict[str, list[float]] = {"etl": [], "minimal": []}
    jobs = {"etl": product, "minimal": minimal}
    datasets = {
        "etl": (
            "exports/rag/playbooks.parquet",
            "exports/sft/instruction_response.parquet",
            "exports/preference/chosen_rejected.parquet",
        ),
        "minimal": ("rag.parquet", "sft.parquet", "preference.parquet"),
    }
    for _ in range(chosen.rounds):
        for name, job in jobs.items():
            wall, cpu, out = timed(job, folder)
            walls[name].append(wall)
            cpus[name].append(cpu)
            sys.stdout.write(f"{name:8} {wall:6.2f} s wall {cpu:6.2f} s CPU, rows {rows(out, datasets[name])}\n")
            shutil.rmtree(out)
    shutil.rmtree(folder)
    for what, times in (("wall", walls), ("CPU", cpus)):
        ours, theirs = statistics.median(times["etl"]), statistics.median(times["minimal"])
        sys.stdout.write(f"{what}: etl {ours:.2f} s, minimal {theirs:.2f} s, ratio {ours / theirs:.2f}\n")


if __name__ == "__main__":
    main()
