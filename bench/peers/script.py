"""Runs script.sql, rules.sql and outputs.sql: python script.py EVIDENCE OUT [--threads N].

The sha256 of each line is computed here, in a thread of its own while DuckDB reads: that takes half of the CPU time of DuckDB's
sha256(), and the lines need not be handed out as texts. Prints the wall and CPU seconds of each step.
"""

import argparse
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import duckdb
import pyarrow as pa
from sums import write_sums

HERE = Path(__file__).parent
OUTPUTS = ("rag", "sft", "preference", "quarantine_rag", "quarantine_sft", "quarantine_preference")
TIMES = "* replace (strftime(created_at, '%Y-%m-%dT%H:%M:%S.%fZ') as created_at)"


def digests(evidence: Path) -> pa.Table:
    """Return of each line its sha256, 64 bits of it to compare by, and whether it has its first key once."""
    found, once = [], []
    with evidence.open("rb") as stream:
        for line in stream:
            found.append(hashlib.sha256(line[:-1]).digest())
            once.append(line.count(b'"source_class"') == 1)
    whole = b"".join(found)
    return pa.table({
        "item_sha256": pa.array([digest.hex() for digest in found]),
        "item": pa.array([int.from_bytes(digest[:8]) for digest in found], pa.uint64()),
        "is_good": once,
    })


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print what a step takes."""
    wall, cpu = perf_counter(), sum(os.times()[:2])
    yield
    print(f"{name:12}{perf_counter() - wall:7.2f} s wall{sum(os.times()[:2]) - cpu:7.2f} s CPU", flush=True)


def main() -> None:
    """Run every step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evidence", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=None)
    chosen = parser.parse_args()
    file = chosen.evidence / "evidence.jsonl"
    db = duckdb.connect(config={"threads": chosen.threads} if chosen.threads else {})
    db.execute("set variable evidence = ?", [str(file)])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(digests, file)
        for statement in duckdb.extract_statements((HERE / "script.sql").read_text("utf-8")):
            with step(statement.query.strip().split(" as")[0][-40:]): db.execute(statement)
        with step("wait for digests"):
            digest = waiting.result()
            db.execute("create table digest as from digest")
    for statement in duckdb.extract_statements((HERE / "rules.sql").read_text("utf-8")):
        with step(statement.query.strip().split(" as")[0][-40:]): db.execute(statement)
    db.execute((HERE / "outputs.sql").read_text("utf-8"))
    for name in OUTPUTS:
        with step(name):
            db.execute(f"create temp table output as from {name}")
        with step(name):
            db.execute(f"copy output to '{chosen.out / name}.parquet' (compression zstd, compression_level 3)")
        with step(name):
            db.execute(f"copy (select {'*' if name.startswith('quarantine') else TIMES} from output) to '{chosen.out / name}.jsonl' (format json)")
            db.execute("drop table output")
    with step("sums"):
        write_sums(chosen.out)


if __name__ == "__main__":
    main()
