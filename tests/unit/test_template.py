"""The template database is made once for the same SQL and engine, copied from then on, and made again if it is damaged."""

import os
from pathlib import Path

import duckdb
import pytest

from etl.base.errors import SqlError
from etl.base.settings import Settings
from etl.warehouse import template
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql

COMMENTS = "select schema_name || '.' || view_name, comment from duckdb_views() where not internal order by all"


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a cache folder that nobody else uses, and that does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "evidence-etl"


def with_view(sql: Sql, body: str) -> Sql:
    """Return SQL with one more view, ``policy.extra``."""
    return Sql(sql.files | {"sql/1_policy/extra.sql": body})


def views_of(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Return the names of a warehouse's views and their comments, and close it."""
    found = warehouse.execute(COMMENTS)
    warehouse.close()
    return found


def test_it_is_made_once(own_cache: Path, sql: Sql, tmp_path: Path) -> None:
    """The second warehouse copies the file that the first one made, and so does a warehouse in a file."""
    Warehouse.create(sql, Settings()).close()
    (file,) = own_cache.glob("*.duckdb")
    made = file.stat().st_ino
    Warehouse.create(sql, Settings()).close()
    Warehouse.create(sql, Settings(), tmp_path / "etl.duckdb").close()
    assert [(found, found.stat().st_ino) for found in own_cache.glob("*.duckdb")] == [(file, made)]


def test_it_has_every_view_with_its_comment(own_cache: Path, sql: Sql, tmp_path: Path) -> None:
    """A warehouse has the views of the sql folder, each with the header of its file, in memory and in a file."""
    wanted = sorted((view.qualified, view.comment) for view in sql.views if not view.is_kept)
    assert views_of(Warehouse.create(sql, Settings())) == wanted
    assert views_of(Warehouse.create(sql, Settings(), tmp_path / "etl.duckdb")) == wanted


def test_columns_have_the_comments_of_the_header(sql: Sql) -> None:
    """A user's own view explains as many columns as it likes; a name that is not a column is ignored."""
    body = "-- Numbers.\n--   x: seven, or\n--       'seven'\n--   y: nobody\nselect 7 as x, 8 as z"
    warehouse = Warehouse.create(with_view(sql, body), Settings())
    query = "select column_name, comment from duckdb_columns() where table_name = 'extra' order by all"
    assert warehouse.execute(query) == [("x", "seven, or 'seven'"), ("z", None)]
    warehouse.close()


def test_other_sql_has_another_template(own_cache: Path, sql: Sql) -> None:
    """An added view is there, even if the template of the other SQL is at hand."""
    Warehouse.create(sql, Settings()).close()
    warehouse = Warehouse.create(with_view(sql, "select 7 as x"), Settings())
    assert warehouse.one("from policy.extra") == 7
    warehouse.close()
    assert len(list(own_cache.glob("*.duckdb"))) == 2


def test_a_spoiled_one_is_made_again(own_cache: Path, sql: Sql, tmp_path: Path) -> None:
    """A template that a power failure damaged is replaced, not believed; nor is another database."""
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute("create table x (i integer)")
    Warehouse.create(sql, Settings()).close()
    (file,) = own_cache.glob("*.duckdb")
    contents = (b"", b"no database", (tmp_path / "other.duckdb").read_bytes())
    for content, place in zip(contents, (None, tmp_path / "etl.duckdb", None), strict=True):
        file.write_bytes(content)
        warehouse = Warehouse.create(sql, Settings(), place)
        assert warehouse.one("select count(*) from policy.verdict") > 0
        warehouse.close()
        assert file.read_bytes() not in contents


def test_what_lies_in_its_place_is_done_without(own_cache: Path, sql: Sql) -> None:
    """If a folder is in the template's place, the process keeps its template elsewhere."""
    Warehouse.create(sql, Settings()).close()
    (file,) = own_cache.glob("*.duckdb")
    file.unlink()
    file.mkdir()
    warehouse = Warehouse.create(sql, Settings())
    assert warehouse.one("select count(*) from policy.verdict") > 0
    warehouse.close()
    assert file.is_dir()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the user's cache is not a folder, the process keeps its template elsewhere."""
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    warehouse = Warehouse.create(sql, Settings())
    assert warehouse.one("select count(*) from policy.verdict") > 0
    warehouse.close()


def test_sql_that_does_not_work_leaves_nothing(own_cache: Path, sql: Sql) -> None:
    """The error names the file, and no template of that SQL is kept."""
    Warehouse.create(sql, Settings()).close()
    before = sorted(own_cache.iterdir())
    with pytest.raises(SqlError, match=r"^sql/1_policy/extra\.sql: .*nowhere"):
        Warehouse.create(with_view(sql, "from nowhere"), Settings())
    assert sorted(own_cache.iterdir()) == before


def test_the_oldest_are_removed(own_cache: Path, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache keeps the templates that were used last."""
    monkeypatch.setattr(template, "KEPT", 3)
    own_cache.mkdir(parents=True)
    for age in (30, 20, 10):
        (own_cache / f"{age}.duckdb").touch()
        os.utime(own_cache / f"{age}.duckdb", (1_700_000_000 - age, 1_700_000_000 - age))
    Warehouse.create(sql, Settings()).close()
    left = {file.name for file in own_cache.glob("*.duckdb")}
    assert {"10.duckdb", "20.duckdb"} < left
    assert len(left) == 3


def test_a_changed_view_is_bound_again_with_all_that_read_it(sql: Sql) -> None:
    """A user's own policy with another type, or another column, reaches the views that read it."""
    pairing = sql.files["sql/1_policy/pairing.sql"].replace("gap.reason,", "gap.reason::blob as reason,")
    warehouse = Warehouse.create(Sql(sql.files | {"sql/1_policy/pairing.sql": pairing}), Settings())
    types = "select column_type from (describe {}) where column_name = '{}'"
    assert warehouse.one(types.format("pairs.candidate", "gap")) == "BLOB"
    assert warehouse.one(types.format("datasets.preference", "reason")) == "BLOB"
    assert warehouse.execute("from datasets.preference") == []
    warehouse.close()
