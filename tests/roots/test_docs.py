"""The documents are true: the reference pages follow the code, and the README's examples run."""

import re
from pathlib import Path

import pytest
from conftest import REPOSITORY, SAMPLE, copy_of, etl, publish_sample, write_evidence
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


def test_readme_source_works(tmp_path: Path) -> None:
    """The README's example of a new source works as the README says."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (mapping,) = re.findall(r"```\n(-- One row per run of an agent's change.*?)```", readme, re.DOTALL)
    file = tmp_path / "sql" / "2_sources" / "ci_runs.sql"
    file.parent.mkdir(parents=True)
    file.write_text(mapping, encoding="utf-8")
    good = {"build": "7", "ticket": "T-1", "finished": "2026-03-01T10:00:00+01:00", "patch": "diff", "status": "green"}
    write_evidence(tmp_path / "evidence", {"ci_runs.jsonl": [good, good | {"status": "red"}, good | {"patch": 1}]})
    assert etl("run-all", "--root", tmp_path).exit_code == 1
    query = "select category, created_at from scored.run order by item_number"
    assert etl("sql", query, "--root", tmp_path, "--json").json == [
        {"category": "accepted", "created_at": "2026-03-01T09:00:00"},
        {"category": "rejected", "created_at": "2026-03-01T09:00:00"},
    ]
    assert etl("sql", "select reason from evidence.skipped", "--root", tmp_path, "--json").json == [{"reason": "bad_patch"}]


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
    dataset = tmp_path / "exports/sft/instruction_response.jsonl"
    dataset.write_bytes(dataset.read_bytes() + b"\n")
    with pytest.raises(AssertionError, match="instruction_response"):
        exec(program, {})
    dataset.unlink()
    envelopes = Path("run.intoto.jsonl")
    envelopes.write_text(envelopes.read_text(encoding="utf-8").replace("json", "text", 1), encoding="utf-8")
    with pytest.raises(InvalidSignature):
        exec(program, {})
