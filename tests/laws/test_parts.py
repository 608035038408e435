"""Laws of the parts of datasets: they follow from the evidence as it stands, have bounded sizes, and change few at a time."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from conftest import etl, evidence_line, jsonl, write_evidence
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.base.datasets import STEMS, exported_files
from etl.warehouse.sql_files import Sql

#: The largest size of a part here; the smallest is a fifth of it. Files are cut at each 16th item, so sizes are off by so many.
MOST, LEAST, BLOCK = 1_000, 200, 16

#: The sizes of files by their paths: many small ones, some that make parts of their own.
FILES = st.dictionaries(
    st.integers(0, 999).map(lambda number: f"s/{number:03}.jsonl"),
    st.one_of(st.integers(1, 40), st.integers(1, 190), st.integers(1, 3_000)),
    min_size=1,
    max_size=60,
)


@pytest.fixture(scope="module")
def ground() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a database that has the view of the parts, over tables of the columns that it reads."""
    with duckdb.connect() as connection:
        connection.execute("create schema policy")
        connection.execute("create schema evidence")
        connection.execute(f"create table policy.setting as select {MOST}::bigint as part_items, false as one_file")
        columns = "source_path varchar, item_number bigint, text_bytes bigint, source_class varchar"
        connection.execute(f"create table evidence.stored_record ({columns})")
        connection.execute(f"create view evidence.part as\n{Sql.packaged().view('evidence.part').body}")
        yield connection


def parts_of(ground: duckdb.DuckDBPyConnection, files: Mapping[str, int], text_bytes: int = 100) -> list[list[tuple[str, int]]]:
    """Return the items of each part, by path and number, in the order of the parts; each item is one record."""
    sizes = pa.table({"path": pa.array([*files], pa.string()), "items": pa.array([*files.values()], pa.int64())})
    ground.execute("delete from evidence.stored_record")
    ground.register("sizes", sizes)
    records = f"select path, unnest(range(1, items + 1)), {text_bytes}, 'verdict' from sizes"
    ground.execute(f"insert into evidence.stored_record {records}")
    ground.execute("create or replace temp view placed as from evidence.stored_record select *, item_number // 16 as block")
    rows = ground.execute(
        "select part, source_path, item_number from placed inner join evidence.part using (source_path, block) order by all"
    ).fetchall()
    return [[row[1:] for row in part] for _, part in groupby(rows, key=lambda row: row[0])]


@settings(max_examples=60, deadline=None)
@given(files=FILES)
def test_parts_follow_each_other_and_have_bounded_sizes(ground: duckdb.DuckDBPyConnection, files: dict[str, int]) -> None:
    """One after the other the parts are all items in their order; none is too long, nor too short where there are enough."""
    parts = parts_of(ground, files)
    items = [item for part in parts for item in part]
    assert items == sorted((path, number) for path, size in files.items() for number in range(1, size + 1))
    assert max(map(len, parts)) <= MOST + BLOCK
    assert min(map(len, parts)) >= min(LEAST, sum(files.values())) - BLOCK


@settings(max_examples=60, deadline=None)
@given(files=FILES, data=st.data())
def test_a_change_of_one_file_changes_few_parts(
    ground: duckdb.DuckDBPyConnection, files: dict[str, int], data: st.DataObject
) -> None:
    """Whether a file comes, goes or grows: besides the parts that hold it, at most its neighbours have other items."""
    path = data.draw(st.one_of(st.sampled_from(sorted(files)), st.just("s/500x.jsonl")))
    size = data.draw(st.integers(0, 900))
    changed = {name: items for name, items in (files | {path: files.get(path, 0) + size if size else 0}).items() if items}
    before = [tuple(part) for part in parts_of(ground, files)]
    after = [tuple(part) for part in parts_of(ground, changed)] if changed else []
    holding = [part for part in after if any(name == path for name, _ in part)]
    assert len({*after} - {*before} - {*holding}) <= 3


def test_long_texts_make_shorter_parts(ground: duckdb.DuckDBPyConnection) -> None:
    """Texts of 268,400 bytes count as a hundred records each, so a part holds few of them."""
    parts = parts_of(ground, {"s/a.jsonl": 160}, text_bytes=268_400)
    assert max(map(len, parts)) <= MOST // 100 + BLOCK < len(parts) * BLOCK


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root whose datasets have several parts: two files of 100 attempts at 10 tasks each."""
    root = tmp_path_factory.mktemp("parts")
    words = ("accept", "reject", "partial")
    write_evidence(
        root / "evidence",
        {
            f"evidence/{name}.jsonl": [
                evidence_line(
                    f"{name}{number % 10}", run_id=f"{name}-{number}", verdict=words[number % 3], response=f"Answer {number}"
                )
                for number in range(100)
            ]
            for name in ("b", "a")
        },
    )
    (root / "etl.toml").write_text("part_items = 100\n", encoding="utf-8")
    assert etl("run-all", "--root", root).exit_code == 0
    return root


def rows_of(root: Path, stem: str) -> list[dict[str, object]]:
    """Return the rows of a dataset, part after part."""
    return [row for file in exported_files(root / "exports", stem) if file.suffix == ".jsonl" for row in jsonl(file)]


@pytest.mark.parametrize("stem", STEMS)
def test_a_dataset_is_a_folder_of_parts_in_the_order_of_evidence(root: Path, stem: str) -> None:
    """Its parts one after the other have the order of the evidence, pairs that of their chosen side; both formats agree."""
    rows = rows_of(root, stem)
    places = [list((row["provenance"].get("chosen") or row["provenance"]).values())[:3] for row in rows]
    assert places == sorted(places)
    parquet = pl.read_parquet(root / "exports" / stem / "*.parquet")
    assert parquet["id"].to_list() == [row["id"] for row in rows]
    if stem != "quarantine/preference":
        assert len(exported_files(root / "exports", stem)) > 4


def test_receipts_name_each_part(root: Path) -> None:
    """A receipt has an entry for each file of each part, and its rows add up to those that ship or are refused."""
    receipt = next(each for each in etl("receipts", "--root", root, "--json").json["receipts"] if each["stage"] == "export-sft")
    entries = {entry["path"]: entry for entry in receipt["outputs"]["files"]}
    files = [file for stem in ("sft/instruction_response", "quarantine/sft") for file in exported_files(root / "exports", stem)]
    assert {*entries} == {file.relative_to(root).as_posix() for file in files}
    shipped = [entry["record_count"] for path, entry in entries.items() if "instruction" in path and path.endswith(".jsonl")]
    assert sum(shipped) == receipt["stats"]["accepted"]
    assert etl("verify", "--root", root).exit_code == 0


def test_one_file_has_the_same_rows(root: Path, tmp_path: Path) -> None:
    """With one_file each dataset is one file with the rows of its parts; without it only the parts are there again."""
    write_evidence(tmp_path / "evidence", {})
    for step in (("--set", "one_file=true"), ()):
        assert (
            etl("run-all", "--root", tmp_path, "--evidence", root / "evidence", "--set", "part_items=100", *step).exit_code == 0
        )
        for stem in STEMS:
            files = exported_files(tmp_path / "exports", stem)
            assert rows_of(tmp_path, stem) == rows_of(root, stem)
            assert (len(files) == 2) == (bool(step) or stem == "quarantine/preference")
            assert (tmp_path / "exports" / stem).is_dir() == (not step)
        assert etl("verify", "--root", tmp_path).exit_code == 0


def test_a_new_file_leaves_the_parts_of_others(root: Path, tmp_path: Path) -> None:
    """Evidence that is added at one place changes the parts there; all others keep their bytes."""
    evidence = tmp_path / "evidence"
    write_evidence(evidence, {})
    for file in (root / "evidence").rglob("*.jsonl"):
        target = evidence / file.relative_to(root / "evidence")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    write_evidence(evidence, {"evidence/c.jsonl": [evidence_line(f"c{n}", verdict="accept") for n in range(50)]})
    assert etl("run-all", "--root", tmp_path, "--set", "part_items=100").exit_code == 0
    for stem in STEMS:
        before, after = ({file.read_bytes() for file in exported_files(where / "exports", stem)} for where in (root, tmp_path))
        assert before <= after
