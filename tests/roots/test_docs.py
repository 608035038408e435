"""The documents are true: the reference pages follow the code, and the README's examples run."""

import re
from pathlib import Path

import pytest
from conftest import REPOSITORY, SAMPLE, Line, copy_of, etl, publish_sample, write_evidence
from cryptography.exceptions import InvalidSignature
from make_reference import PAGES


@pytest.mark.parametrize("page", PAGES)
def test_reference_pages_are_current(page: str) -> None:
    """A reference page has the content that ``make docs`` would write now."""
    assert (REPOSITORY / "docs" / page).read_text(encoding="utf-8") == PAGES[page](), "run make docs"


def test_every_relation_and_column_has_a_comment(tmp_path: Path) -> None:
    """Anyone who opens the warehouse finds what each table, view and column means, also after a second run."""
    copy_of(publish_sample, tmp_path)
    query = (
        "select schema_name, view_name, '' from duckdb_views() where not internal and coalesce(comment, '') = '' "
        "union all select schema_name, table_name, '' from duckdb_tables() where coalesce(comment, '') = '' "
        "union all select schema_name, table_name, column_name from duckdb_columns() "
        "where not internal and coalesce(comment, '') = ''"
    )
    assert etl("sql", query, "--root", tmp_path, "--json").json == []
    assert etl("run-all", "--root", tmp_path, "--evidence", SAMPLE, "--set", "accept_at=0.95").exit_code == 0
    assert etl("sql", query, "--root", tmp_path, "--json").json == []


def test_readme_queries_run(tmp_path: Path) -> None:
    """Every SQL example of the README answers on the bundled sample."""
    copy_of(publish_sample, tmp_path)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    readme = re.sub(r"^--.*\n", "", readme, flags=re.MULTILINE)
    queries = [
        query for block in re.findall(r"```sql\n(.*?)```", readme, re.DOTALL) for query in block.split(";") if query.strip()
    ]
    assert len(queries) >= 4
    for query in queries:
        result = etl("sql", query, "--root", tmp_path, "--json")
        assert result.exit_code == 0, (query, result.stderr)
        assert result.json, query


def test_readme_mappings_work(tmp_path: Path) -> None:
    """The mappings in the README work, and are less than twenty lines of SQL each; that of sessions is the shipped one."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    mappings = dict(re.findall(r"`(sql/2_sources/\w+.sql)` is:\n\n```\n(.*?)```", readme, re.DOTALL))
    assert [*mappings] == ["sql/2_sources/sessions.sql", "sql/2_sources/trials.sql"]
    for mapping in mappings.values():
        assert sum(not line.startswith("--") for line in mapping.splitlines()) < 20
    assert mappings["sql/2_sources/sessions.sql"] == (REPOSITORY / "sql/2_sources/sessions.sql").read_text(encoding="utf-8")
    (tmp_path / "sql" / "2_sources").mkdir(parents=True)
    (tmp_path / "sql/2_sources/trials.sql").write_text(mappings["sql/2_sources/trials.sql"], encoding="utf-8")
    trial = {"trial": "7", "task": "T-1", "answer": "Done."}
    files: dict[str, list[Line]] = {
        "trials/7/result.json": [trial],
        "trials/7/verifier/reward.txt": ["0.5"],
        "trials/8/result.json": [trial | {"trial": "8"}],
        "trials/8/log.bin": ["left out"],
    }
    write_evidence(tmp_path / "evidence", files)
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    query = "select run_id, task_id, response, score, len(parts) as parts from evidence.record order by run_id"
    assert [tuple(row.values()) for row in etl("sql", query, "--root", tmp_path, "--json").json] == [
        ("7", "T-1", "Done.", 0.5, 2),
        ("8", "T-1", "Done.", None, 1),
    ]


def test_readme_explains_a_grade_of_the_sample(tmp_path: Path) -> None:
    """What the README shows of etl explain is what it says of that grade, line by line."""
    copy_of(publish_sample, tmp_path)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (wanted, shown) = re.search(r"\$ etl explain (\S+)\n(.*?)```", readme, re.DOTALL).groups()  # type: ignore[union-attr]
    said = etl("explain", wanted, "--root", tmp_path, "--evidence", SAMPLE).stdout
    lines = [line.removesuffix("…").rstrip() for line in shown.splitlines() if line != "…"]
    assert [line for line in lines if line not in said] == []


def test_readme_names_every_make_target() -> None:
    """The README names every target that make help lists."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [target for target in targets if f"make {target}" not in readme] == []


@pytest.mark.parametrize("keygen", ["keygen", "keygen --p256"])
def test_a_stranger_can_check_signed_receipts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keygen: str) -> None:
    """The README's commands and the Python in docs/receipts.md -> they pass for a signed run, and fail for changed files."""
    copy_of(publish_sample, tmp_path)
    monkeypatch.chdir(tmp_path)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"```sh\n(etl keygen .*?)```", readme, re.DOTALL)
    for command in commands.splitlines():
        arguments, _, target = command.replace("keygen", keygen).partition("#")[0].removeprefix("etl ").partition(" > ")
        result = etl(*arguments.split())
        assert result.exit_code == 0, result.stderr
        if target:
            Path(target.strip()).write_text(result.stdout, encoding="utf-8")
    page = (REPOSITORY / "docs/receipts.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(program, {})
    dataset = tmp_path / "exports/sft/instruction_response/part-00001.jsonl"
    dataset.write_bytes(dataset.read_bytes() + b"\n")
    with pytest.raises(AssertionError, match="instruction_response"):
        exec(program, {})
    dataset.unlink()
    envelopes = Path("run.intoto.jsonl")
    envelopes.write_text(envelopes.read_text(encoding="utf-8").replace("json", "text", 1), encoding="utf-8")
    with pytest.raises(InvalidSignature):
        exec(program, {})
