"""Runs read.sql, compare.sql, rules.sql, outputs.sql: python script.py EVIDENCE OUT [--threads N]. Prints what each step takes.

What is not SQL is what was faster without: the sha256 of each line is computed in a thread, while DuckDB reads, in half of the
CPU time of DuckDB's ``sha256()``. And each output is made once, as an Arrow table, which pyarrow writes as Parquet (as fast as
DuckDB) and polars as JSONL (in half of the CPU time), both while DuckDB makes the next.
"""

import argparse
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, thread_time

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars import selectors
from sums import write_sums

HERE = Path(__file__).parent
OUTPUTS = ("rag", "sft", "preference", "quarantine_rag", "quarantine_sft", "quarantine_preference")
ROWS_PER_GROUP = 10_240

#: So few rows of JSONL at once stay in the caches until they are written.
ROWS_PER_TEXT = 2_048


def digests(evidence: Path) -> pa.Table:
    """Return of each line its sha256, 64 bits of it to compare by, and whether it has its first key once."""
    found, once = [], []
    with evidence.open("rb") as stream:
        for line in stream:
            found.append(hashlib.sha256(line.removesuffix(b"\n")).digest())
            once.append(line.count(b'"source_class"') == 1)
    columns = {
        "item_sha256": pa.array([digest.hex() for digest in found]),
        "item": pa.array([int.from_bytes(digest[:8], "big") for digest in found], pa.uint64()),
        "is_good": pa.array(once),
    }
    show("digests (beside read, compare)", thread_time(), thread_time())
    return pa.table(columns)


def write_parquet(target: Path, rows: pa.Table) -> None:
    """Write an output as Parquet."""
    pq.write_table(rows, target, compression="zstd", compression_level=3, row_group_size=ROWS_PER_GROUP)


def write_lines(target: Path, rows: pa.Table) -> None:
    """Write an output as JSONL."""
    frame = pl.DataFrame(rows)
    with target.open("wb") as lines:
        for part in frame.iter_slices(ROWS_PER_TEXT):
            part.with_columns(selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_ndjson(lines)


def write_outputs(connection: duckdb.DuckDBPyConnection, out: Path, threads: int) -> None:
    """Write every output; no more than ``threads`` files wait to be written, since their rows take memory."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: set[Future[None]] = set()
        for name in OUTPUTS:
            rows = connection.sql(f"from {name}").to_arrow_table()
            while len(waiting) > threads - 2 and waiting:
                waiting = wait(waiting, return_when="FIRST_COMPLETED").not_done
            waiting.add(pool.submit(write_parquet, out / f"{name}.parquet", rows))
            waiting.add(pool.submit(write_lines, out / f"{name}.jsonl", rows))
        for written in waiting:
            written.result()


def show(name: str, wall: float, cpu: float) -> None:
    """Print what a step takes."""
    print(f"{name:32}{wall:7.2f} s wall{cpu:7.2f} s CPU", flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print what a step takes, in all threads."""
    wall, cpu = perf_counter(), sum(os.times()[:2])
    yield
    show(name, perf_counter() - wall, sum(os.times()[:2]) - cpu)


def main() -> None:
    """Run every step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evidence", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    file = chosen.evidence / "evidence.jsonl"
    with duckdb.connect(config={"threads": chosen.threads}) as connection, ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(digests, file)
        connection.execute("set variable evidence = ?", [str(file)])
        for name in ("read", "compare"):
            with step(name):
                connection.execute((HERE / f"{name}.sql").read_text("utf-8"))
        with step("rules"):
            digest = hashing.result()  # noqa: F841 (DuckDB finds it by its name)
            connection.execute("create table digest as from digest")
            connection.execute((HERE / "rules.sql").read_text("utf-8"))
        with step("outputs"):
            connection.execute((HERE / "outputs.sql").read_text("utf-8"))
            write_outputs(connection, chosen.out, chosen.threads)
    with step("sums"):
        write_sums(chosen.out)


if __name__ == "__main__":
    main()
