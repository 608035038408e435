"""The published warehouse opens in the oldest engine that the product promises, and answers the same there."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY, SAMPLE, copy_of, etl, publish_sample

from etl.base.project import Project
from etl.warehouse.read_only import PublishedWarehouse

OLDEST = REPOSITORY / ".venv-oldest" / "bin" / "python"

#: Opens the warehouse and prints the rows of each view as sorted texts.
LOOK = """
import json, sys
import duckdb

with duckdb.connect(sys.argv[1], read_only=True) as warehouse:
    names = warehouse.execute(
        "select schema_name, view_name from duckdb_views() where not internal order by all"
    ).fetchall()
    found = {}
    for schema, name in names:
        rows = warehouse.execute(f'select to_json(row)::varchar from {schema}."{name}" as row').fetchall()
        found[f"{schema}.{name}"] = sorted(row for (row,) in rows)
    comments = warehouse.execute("select count(*) from duckdb_columns() where not internal and comment is null").fetchall()
    assert comments == [(0,)]
    print(json.dumps({"version": duckdb.__version__, "found": found}))
"""


@pytest.mark.skipif(not OLDEST.is_file(), reason="duckdb 1.5 is not installed; make .venv-oldest/.installed does it")
def test_the_oldest_engine_finds_the_same_rows(tmp_path: Path) -> None:
    """DuckDB 1.5 opens what 2.x published, every column has its comment there, and every view gives the same rows."""
    copy_of(publish_sample, tmp_path)
    etl("run", "export-rag", "--force", "--root", tmp_path, "--evidence", SAMPLE)  # so that drift has two runs to compare
    file = Project.at(tmp_path).warehouse
    said = subprocess.run([OLDEST, "-c", LOOK, file], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    oldest = json.loads(said.stdout.splitlines()[-1])  # a slow query shows its progress before
    assert oldest["version"].startswith("1.5.")
    with PublishedWarehouse.open(file) as warehouse:
        names = warehouse.execute("select schema_name, view_name from duckdb_views() where not internal order by all")
        assert len(names) == len(oldest["found"])
        for schema, name in names:
            rows = warehouse.execute(f'select to_json(row)::varchar from {schema}."{name}" as row')
            assert oldest["found"][f"{schema}.{name}"] == sorted(row for (row,) in rows), f"{schema}.{name}"
