"""Runs one after the other over evidence that changes, and what they leave beside what a fresh root has."""

import json
import time
from pathlib import Path
from typing import Any

from conftest import etl

from etl.base.file_stat import TICK_NS

REPORTS = "reports/distillation"

#: What a warehouse holds of the evidence, whatever runs it took.
_OBSERVED = {
    "evidence.file": "from evidence.file order by all",
    "evidence.record": "select * exclude (record_key) from evidence.record order by all",
    "evidence.skipped": "from evidence.skipped order by all",
}


def run(root: Path, *options: str) -> dict[str, Any]:
    """Run everything that is stale, on evidence old enough to be trusted, and return collect's receipt."""
    settle(root / "evidence")
    assert etl("run-all", "--root", root, *options).exit_code in {0, 1, 3}
    run_id = json.loads((root / REPORTS / "head").read_bytes())["run_id"]
    receipt: dict[str, Any] = json.loads((root / REPORTS / run_id / "collect.json").read_bytes())
    return receipt


def settle(folder: Path) -> None:
    """Wait until the file system's clock has moved on since the last change."""
    latest = max((file.stat().st_ctime_ns for file in folder.rglob("*")), default=0)
    time.sleep(max(0, latest + 2 * TICK_NS - time.time_ns()) / 1e9)


def exports(root: Path) -> dict[str, bytes]:
    """Return the published files by name."""
    return {str(file.relative_to(root)): file.read_bytes() for file in (root / "exports").glob("*/*/*")}


def assert_as_fresh(root: Path, fresh: Path) -> None:
    """Assert that a root, and its warehouse's rows, equal a fresh one on the same evidence, which may have SQL of its own."""
    fresh.mkdir(exist_ok=True)
    assert etl("run-all", "--root", fresh, "--evidence", root / "evidence").exit_code in {0, 1, 3}
    assert exports(root) == exports(fresh)
    keys = "select count(*)::int as records, count(distinct record_key)::int as keys from evidence.record"
    (counted,) = etl("sql", keys, "--root", root, "--json").json
    assert counted["records"] == counted["keys"]
    for table, query in _OBSERVED.items():
        assert etl("sql", query, "--root", root, "--json").stdout == etl("sql", query, "--root", fresh, "--json").stdout, table
