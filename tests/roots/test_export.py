"""What is exported: JSONL and Parquet hold the same rows for every reader, even when there are none."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import etl, evidence_line, jsonl, write_evidence

from etl.base import files
from etl.base.datasets import DATASETS, ENDINGS, STEMS, part_of
from etl.checks import columns_of, contract_of, quarantine_of
from etl.checks.quarantine import REASON
from etl.export import parts
from etl.export.writer import regrouped
from etl.pipeline.stages import STAGES
from etl.receipts.store import HANDED_ON
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql

NASTY = 'Quotes " and \\ and \u2028, a tab\t, a NUL \u0000, é, 汉字, 😀,\r\nand a second line.'

EVIDENCE = [
    evidence_line("a", verdict="accept", prompt=NASTY, response=NASTY, model=None, created_at="2026-01-31T12:00:00.5Z"),
    evidence_line("a", verdict="reject", run_id="other", prompt=NASTY, response="Worse.", created_at=None),
    evidence_line("b", verdict="partial", prompt="  \n" + "long " * 60, response="Half."),
    evidence_line("c", verdict="reject", cited_paths=["secret/path.py"], response="Wrong."),
    evidence_line("d", score=0.9, prompt=None, response="No prompt."),
    evidence_line("e", verdict="escalate", created_at="2026-03-01T01:00:00+02:00"),
    evidence_line("f", verdict="accept", run_id="one"),
    evidence_line("f", verdict="reject", run_id="two", prompt=None, response="No prompt either."),
    evidence_line("f", verdict="accept", run_id="three", prompt=None, response="A pair without a prompt."),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run over evidence with odd text."""
    root = tmp_path_factory.mktemp("exported")
    write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
    manifest = root / "known.txt"
    manifest.write_text("src/a.py\n", encoding="utf-8")
    assert etl("run-all", "--root", root, "--known-paths", manifest).exit_code == 0
    return root


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run over one line that cannot become a record."""
    root = tmp_path_factory.mktemp("empty")
    write_evidence(root / "evidence", {"evidence.jsonl": [b"{"]})
    assert etl("run-all", "--root", root).exit_code == 1
    return root


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its time as JSONL writes it."""
    time = row.get("created_at")
    return row | {"created_at": f"{time:%Y-%m-%dT%H:%M:%S.%fZ}"} if time is not None else row


@pytest.mark.parametrize("stem", STEMS)
def test_every_reader_sees_the_same_rows(exported: Path, stem: str) -> None:
    """DuckDB, pyarrow and polars read from Parquet what the JSONL holds, key by key."""
    file = exported / "exports" / part_of(stem, 1)
    expected = jsonl(file.with_suffix(".jsonl"))
    assert expected
    parquet = str(file.with_suffix(".parquet"))
    assert [plain(row) for row in pq.read_table(parquet).to_pylist()] == expected
    assert [plain(row) for row in pl.read_parquet(parquet).to_dicts()] == expected
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        rows = connection.execute("from read_parquet(?)", [parquet])
        names = [column[0] for column in rows.description or []]
        assert [plain(dict(zip(names, row, strict=True))) for row in rows.fetchall()] == expected


@pytest.mark.parametrize("stem", STEMS)
def test_an_empty_dataset_has_its_full_schema(exported: Path, empty: Path, stem: str) -> None:
    """No rows still give files, with zero rows and the usual columns and types."""
    file = empty / "exports" / part_of(stem, 1)
    assert file.with_suffix(".jsonl").read_bytes() == b""
    for reader in (pq.read_table, pl.read_parquet):
        assert len(reader(file.with_suffix(".parquet"))) == 0
    with duckdb.connect() as connection:
        assert connection.execute("from read_parquet(?)", [str(file.with_suffix(".parquet"))]).fetchall() == []
    full = pq.read_schema(exported / "exports" / stem / "part-00001.parquet")
    assert pq.read_schema(file.with_suffix(".parquet")).equals(full)


@pytest.mark.parametrize("dataset", DATASETS)
def test_columns_and_types(exported: Path, dataset: Any, warehouse: Warehouse) -> None:
    """SQL, schema and file have the same columns in the same order; no floats, no null type, times in UTC."""
    for stem, contract in ((dataset.stem, contract_of(dataset)), (dataset.quarantine_stem, quarantine_of(dataset))):
        schema = pq.read_schema(exported / "exports" / stem / "part-00001.parquet")
        assert schema.names == columns_of(contract)
        assert set(schema.names) <= set(warehouse.columns(dataset.relation))
        for field in schema:
            assert not pa.types.is_floating(field.type)
            assert not pa.types.is_null(field.type)
            assert not pa.types.is_timestamp(field.type) or field.type == pa.timestamp("us", tz="UTC")
    own = [name for name in warehouse.columns(dataset.relation) if name in columns_of(contract_of(dataset))]
    assert own == columns_of(contract_of(dataset))


def test_metadata_names_dataset_version_and_settings(exported: Path) -> None:
    """A Parquet file records what it is and the settings it was made with, and nothing that changes from run to run."""
    metadata = pq.read_schema(exported / "exports/sft/instruction_response/part-00001.parquet").metadata
    assert sorted(key for key in metadata if not key.startswith(b"ARROW")) == [
        b"dataset", b"schema_version", b"settings_hash",
    ]  # fmt: skip
    assert metadata[b"dataset"] == b"sft"
    receipt = etl("receipts", "--root", exported, "--json").json["receipts"][3]
    assert metadata[b"settings_hash"].decode() == receipt["settings_hash"]


def test_rag_row(exported: Path) -> None:
    """A row of the rag dataset, in full."""
    row = next(row for row in jsonl(exported / "exports/rag/playbooks/part-00001.jsonl") if row["task_id"] == "a")
    assert row | {"id": "", "provenance": ""} == {
        "id": "",
        "source_run_id": "run-a",
        "task_id": "a",
        "source": "evidence",
        "source_category": "accepted",
        "title": 'Quotes " and \\ and \u2028, a tab\t, a NUL \u0000, é, 汉字, 😀,',
        "content": NASTY,
        "model": None,
        "created_at": "2026-01-31T12:00:00.500000Z",
        "split": "train",
        "provenance": "",
    }
    assert set(row["provenance"]) == {"source_path", "item_number", "record_number", "item_sha256"}


def test_a_grade_gives_its_comparison(tmp_path: Path) -> None:
    """The comparison of a record without one is that of the grade that decides: it pairs with a record that has it itself."""
    write_evidence(
        tmp_path / "evidence",
        {
            "evidence.jsonl": [
                evidence_line("t", run_id="1", verdict="approve", response="a", comparison="A"),
                evidence_line("t", run_id="2", source_class="telemetry", response="b"),
                evidence_line("t", run_id="3", source_class="telemetry", response="c"),
            ],
            "verdicts.jsonl": [
                {"task_id": "t", "run_id": "2", "verdict": "reject", "comparison": "A"},
                {"task_id": "t", "run_id": "3", "verdict": "reject", "comparison": "B"},
            ],
        },
    )
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    pairs = jsonl(tmp_path / "exports/preference/chosen_rejected/part-00001.jsonl")
    assert [(pair["chosen"], pair["rejected"]) for pair in pairs] == [("a", "b")]


def test_title_is_cut_at_120_code_points(exported: Path) -> None:
    """A title is the trimmed prompt up to its first line feed, at most 120 code points, trimmed again."""
    row = next(row for row in jsonl(exported / "exports/rag/playbooks/part-00001.jsonl") if row["task_id"] == "b")
    assert row["title"] == ("long " * 60)[:119]


def test_pair_takes_the_later_time(exported: Path) -> None:
    """The time of a pair is that of its younger side; a side without a time does not count."""
    (pair,) = jsonl(exported / "exports/preference/chosen_rejected/part-00001.jsonl")
    assert pair["created_at"] == "2026-01-31T12:00:00.500000Z"
    assert (pair["chosen"], pair["rejected"], pair["reason"]) == (NASTY, "Worse.", "accepted_over_rejected")


def test_quarantine_holds_no_trainable_text(exported: Path) -> None:
    """A quarantine file holds no prompt, response or cited path; its detail says where to look."""
    for dataset in DATASETS:
        file = exported / "exports" / dataset.quarantine_stem / "part-00001.jsonl"
        text = file.read_text(encoding="utf-8")
        for secret in ("secret/path.py", "Worse.", "Wrong.", "No prompt.", "Same run.", "Solve"):
            assert secret not in text
    rows = jsonl(exported / "exports/quarantine/rag/part-00001.jsonl")
    hallucinated = next(row for row in rows if row["task_id"] == "c")
    assert hallucinated["quarantine_reasons"] == ["unsafe_rag_category", "hallucinated_file_path"]


def test_quarantined_rows_and_datasets_share_no_id(exported: Path) -> None:
    """A row is either shipped or refused."""
    for dataset in DATASETS:
        shipped = {row["id"] for row in jsonl(exported / "exports" / dataset.stem / "part-00001.jsonl")}
        refused = {row["id"] for row in jsonl(exported / "exports" / dataset.quarantine_stem / "part-00001.jsonl")}
        assert not shipped & refused


def batches_of(lengths: list[int], schema: pa.Schema, values: list[Any]) -> list[pa.RecordBatch]:
    """Return the values as batches of these lengths."""
    starts = [sum(lengths[:n]) for n in range(len(lengths))]
    parts = [values[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    return [pa.record_batch([pa.array(part, schema[0].type)], schema=schema) for part in parts]


def test_batches_are_regrouped() -> None:
    """However a stream is cut, it comes in tables of the lengths asked for; what is left comes as one more."""
    schema = pa.schema([("n", pa.int64())])
    lengths = [3, 0, 9_999, 25_001, 1]
    batches = batches_of(lengths, schema, list(range(sum(lengths))))
    tables = list(regrouped(batches, [10_240, 1, 20_000]))
    assert [table.num_rows for table in tables] == [10_240, 1, 20_000, sum(lengths) - 30_241]
    assert all(table["n"].num_chunks == 1 for table in tables)
    assert [n for table in tables for n in table["n"].to_pylist()] == list(range(sum(lengths)))


@pytest.mark.parametrize("lengths", [[5], [4], [9], [3, 7], [8, 1], [12, 0, 1]])
def test_the_engine_reads_batches_of_any_length(warehouse: Warehouse, lengths: list[int]) -> None:
    """A nested struct survives wherever the batches were cut, even if the last table is the rest of one batch."""
    values = [{"chosen": {"item_number": n}} for n in range(sum(lengths))]
    schema = pa.schema([("provenance", pa.struct([("chosen", pa.struct([("item_number", pa.int64())]))]))])
    read = []
    for table in regrouped(batches_of(lengths, schema, values), [4] * 4):
        with warehouse.lent("written", table):
            read += [value for (value,) in warehouse.execute("from written")]
    assert read == values


def test_batches_are_cut_by_bytes_as_well(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows are fetched at once, the rows are the same; row groups have no more bytes of text than they may."""
    monkeypatch.setattr(parts, "BYTES_PER_GROUP", 60)
    monkeypatch.setattr(parts, "BYTES_PER_BATCH", 100)
    known = exported / "known.txt"
    assert etl("run-all", "--root", tmp_path, "--evidence", exported / "evidence", "--known-paths", known).exit_code == 0
    for stem in STEMS:
        lines, parquet = (Path("exports") / f"{part_of(stem, 1)}{ending}" for ending in ENDINGS)
        assert (tmp_path / lines).read_bytes() == (exported / lines).read_bytes()
        assert pq.read_table(tmp_path / parquet) == pq.read_table(exported / parquet)
    assert pq.read_metadata(tmp_path / f"exports/{part_of('rag/playbooks', 1)}.parquet").num_row_groups > 1


def test_every_reason_that_a_view_names_is_in_policy_reason(warehouse: Warehouse) -> None:
    """Every reason that decisions and pairs can give has its place and meaning there, spelled as the contracts demand."""
    named = {
        name
        for (name,) in warehouse.execute(
            "select reason from policy.requirement union select reason from policy.admission where reason is not null "
            "union select unnest(['invalid_preference_pairing', 'self_pairing'])"
        )
    }
    known = [name for (name,) in warehouse.execute("select name from policy.reason order by precedence")]
    assert named <= set(known)
    assert all(re.fullmatch(REASON, name) for name in known)


def test_datasets_of_sql_and_python_are_the_same(warehouse: Warehouse) -> None:
    """policy.dataset and DATASETS name the same datasets, files and grains, in one order; so do policy.stage and STAGES."""
    datasets = warehouse.execute("select dataset, stem, grain from policy.dataset order by position")
    assert datasets == [(dataset.name, dataset.stem, dataset.grain) for dataset in DATASETS]
    stages = warehouse.execute("select stage, dataset from policy.stage order by position")
    assert stages == [(stage.name, stage.dataset and stage.dataset.name) for stage in STAGES]


def test_receipt_tables_are_all_carried(warehouse: Warehouse, sql: Sql) -> None:
    """Every table of the schema receipts is filled from documents, or handed on from version to version."""
    rows = warehouse.execute("select schema_name || '.' || table_name from duckdb_tables() where schema_name = 'receipts'")
    assert {name for (name,) in rows} == {*(view.qualified for view in sql.kept), *HANDED_ON}


def test_a_file_that_cannot_be_made_durable_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the file. It is not synced again, which would pass although its bytes are lost. Nothing is published."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": [evidence_line("a", verdict="accept")]})
    sync = files.sync
    tried: list[str] = []

    def fail_once(descriptor: int, path: Path) -> None:
        tried.append(f"{path.parent.name}/{path.name}")
        if path.parent.name == "playbooks" and path.suffix == ".jsonl":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        sync(descriptor, path)

    monkeypatch.setattr(files, "sync", fail_once)
    result = etl("run-all", "--root", tmp_path)
    assert result.exit_code == 1
    assert "playbooks/part-00001.jsonl: Input/output error" in result.stderr
    assert tried.count("playbooks/part-00001.jsonl") == 1
    assert not (tmp_path / "exports").exists()
