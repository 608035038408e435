"""The sql folder: plain views that work for anyone who opens the warehouse."""

import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import REPOSITORY, SAMPLE, copy_of, etl, publish_sample
from msgspec.json import encode
from oracle import normalised

from etl.base.settings import Settings
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql, View, packaged_sql


def test_views_work_in_a_plain_shell(tmp_path: Path) -> None:
    """Every view answers in a session without the product, and gives the rows that the run shipped."""
    copy_of(publish_sample, tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse/etl.duckdb"), read_only=True) as shell:
        shell.execute("set timezone = 'Asia/Kathmandu'")
        views = shell.execute("select schema_name || '.' || view_name from duckdb_views() where not internal").fetchall()
        assert len(views) == len(set(Sql.of(tmp_path).views) - set(Sql.of(tmp_path).kept))
        for (view,) in views:
            shell.execute(f"from {view}").fetchall()
        shipped = shell.execute("select count(*) from datasets.sft where quarantine_reason is null").fetchall()[0][0]
    lines = (tmp_path / "exports/sft/instruction_response/part-00001.jsonl").read_bytes().count(b"\n")
    assert shipped == lines > 0


def test_materialised_views_equal_their_definitions(tmp_path: Path) -> None:
    """The rows that a run computed once and exported equal those of the views' definitions."""
    copy_of(publish_sample, tmp_path)
    for dataset, file in (("rag", "rag/playbooks"), ("sft", "sft/instruction_response")):
        place = "source_path, item_number, record_number"
        query = f"select id from datasets.{dataset} where quarantine_reason is null order by {place}"
        ids = [row["id"] for row in etl("sql", query, "--root", tmp_path, "--json").json]
        assert (
            ids
            == duckdb.read_parquet(str(tmp_path / f"exports/{file}/part-00001.parquet"))
            .select("id")
            .to_arrow_table()["id"]
            .to_pylist()
        )
    query = "select scored.category, count(*)::int as n from scored.run as scored group by all order by all"
    counted = {row["category"]: row["n"] for row in etl("sql", query, "--root", tmp_path, "--json").json}
    score = etl("receipts", "--root", tmp_path, "--json").json["receipts"][1]
    assert counted["accepted"] == score["stats"]["accepted"]


def test_what_a_run_computes_once_is_the_view(collected: Callable[..., Warehouse], sql: Sql) -> None:
    """The rows of scored.run that a run keeps say what the view says of the same records."""
    kept = collected(SAMPLE)
    records = kept.arrow("from evidence.stored_record")
    view = Warehouse.create(sql, Settings())
    view.replace("evidence.stored_record", records)
    query = "from scored.run order by record_key"
    assert kept.execute(query) == view.execute(query) != []
    view.close()


def test_every_character_is_normalised_as_section_6_says(warehouse: Warehouse) -> None:
    """The macro, which takes shorter ways for plain texts, agrees with Python's Unicode tables on each character.

    It stands alone, among others, behind a syllable of Hangul and before an accent.
    """
    characters = [chr(point) for point in range(0x110000) if is_old(chr(point))]
    texts = [text for one in characters for text in (f"{one}", f"{one}\ta{one}b{one}{one} ", f"\uac00{one} {one}\u0301")]
    with warehouse.lent("texts", pa.table({"content": texts})):
        found = warehouse.execute("select content, policy.normalised(content), policy.is_blank(content) from texts")
    wrong = [text for text, normal, blank in found if (normal, blank) != (normalised(text), not normalised(text))]
    assert len(found) == len(texts) > 600_000
    assert wrong == []


def test_a_text_as_a_message(warehouse: Warehouse) -> None:
    """A text is spelled as conversations spell it, control characters too; a null is null."""
    texts = ["a", 'a "b"\n', "\x0b\x1f\\u001F", ""]
    found = [warehouse.execute("select policy.message('user', ?)", [text])[0][0] for text in texts]
    assert found == [encode([{"role": "user", "content": text}]).decode() for text in texts]
    assert warehouse.execute("select policy.message('user', null::varchar)") == [(None,)]


def is_old(character: str) -> bool:
    """Return whether Unicode 3.2 has a character: later versions may not change its normal form."""
    return unicodedata.ucd_3_2_0.category(character) not in {"Cn", "Cs"}


def test_an_overlay_may_ask_for_any_column(tmp_path: Path) -> None:
    """A user's own view finds all columns of scored.run during a run."""
    decision = Sql.of(tmp_path).files["sql/6_datasets/decision.sql"]
    own = decision.replace(
        "not coalesce(admission.is_admitted, false)",
        "not coalesce(admission.is_admitted and run.model is distinct from '', false)",
    )
    assert own != decision
    (tmp_path / "sql/6_datasets").mkdir(parents=True)
    (tmp_path / "sql/6_datasets/decision.sql").write_text(own, encoding="utf-8")
    assert etl("run-all", "--root", tmp_path, "--evidence", SAMPLE).exit_code == 0


def test_headers_explain_every_column(sql: Sql, warehouse: Warehouse) -> None:
    """The header of each view has a line for each of its columns, in their order, and for nothing else."""
    explained = {view.path: list(view.columns) for view in sql.views}
    assert explained == {view.path: warehouse.columns(view.qualified) for view in sql.views}


def test_a_header_is_about_rows_and_columns() -> None:
    """An indented name with a colon begins a column, deeper lines continue it, and every other line is about the row."""
    header = """\
-- One row per task: a task may have many
-- attempts.
--   task_id: the task: its name
--   attempts: how many,
--       failed: too
--   (failed ones count)
select task_id, attempts --   more: not a header
"""
    view = View("scored", "task", header, "sql/4_scored/task.sql")
    assert view.comment == "One row per task: a task may have many attempts. (failed ones count)"
    assert view.columns == {"task_id": "the task: its name", "attempts": "how many, failed: too"}


@pytest.mark.parametrize("path", sorted(Sql.of(Path("/nonexistent")).files))
def test_files_are_plain_sql(path: str) -> None:
    """No templating, no session variables, one header; a view is one SELECT whose last step names its columns."""
    text = (packaged_sql().parent / path).read_text(encoding="utf-8")
    assert text.startswith("-- ")
    assert not re.search(r"\{\{|\{%|getvariable|current_setting|\bset\s+variable\b", text, re.IGNORECASE)
    if path.count("/") == 2:
        code = "\n".join(line.split("--")[0] for line in text.splitlines())
        assert ";" not in re.sub(r"'[^']*'", "", code)
        assert re.search(r"\b(create|insert|update|delete|copy|attach)\b", code, re.IGNORECASE) is None
        last_step = code[max(code.rfind("\n)\n"), 0) :]
        assert not re.search(r"select\s+(\w+\.)?\*", last_step)


@pytest.mark.slow
def test_built_wheel_works_from_any_folder(tmp_path: Path) -> None:
    """The wheel contains its SQL: installed elsewhere, it runs in a folder that has only evidence."""
    source = tmp_path / "source"
    left_out = shutil.ignore_patterns(".*", "warehouse", "exports", "reports")
    shutil.copytree(REPOSITORY, source, ignore=lambda at, names: left_out(at, names) if at == str(REPOSITORY) else set())
    python = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*python, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("evidence_etl-*.whl")
    target = tmp_path / "installed"
    subprocess.run([*python, "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)], check=True)
    root = tmp_path / "root"
    shutil.copytree(SAMPLE, root / "evidence")
    code = f"import sys; sys.path.insert(0, {str(target)!r}); import etl; assert etl.__file__.startswith({str(target)!r}); "
    code += "from etl.cli.app import app; sys.argv = ['etl', 'run-all']; app()"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (root / "exports/sft/instruction_response/part-00001.parquet").is_file()
