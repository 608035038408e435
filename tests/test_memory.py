"""The setting memory_limit, and the engine's part of it."""

from pathlib import Path

import pytest

from etl import memory
from etl.memory import OTHERS, engine_limit, machine_memory
from etl.settings import Settings
from etl.views import Sql
from etl.warehouse import Warehouse


@pytest.mark.parametrize(
    ("limit", "part"),
    [
        ("4GB", 3_000_000_000),
        ("2 GiB", 2 * 2**30 - OTHERS),
        ("1.5GB", 750_000_000),
        ("512MB", 256_000_000),
        ("64KiB", 32 * 1024),
    ],
)
def test_the_engine_gets_its_part(limit: str, part: int) -> None:
    """A limit as people write it -> the engine's part: all but what the others need, at the least half."""
    assert engine_limit(limit) == part


def test_the_default_is_half_of_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No limit -> half of the machine's memory, or of what its control group may have, where that is less."""
    whole = machine_memory()
    assert engine_limit(None) == max(whole // 2 - OTHERS, whole // 4)
    group = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CGROUP_LIMIT", group)
    for text, expected in (("1000000000\n", 10**9), ("max\n", None)):
        group.write_text(text, encoding="ascii")
        assert machine_memory() == expected or (expected is None and machine_memory() >= whole)


def test_the_engine_is_told(sql: Sql) -> None:
    """The warehouse's engine has the limit that the setting leaves it."""
    warehouse = Warehouse.create(sql, Settings(memory_limit="1GiB"), views=())
    told = warehouse.one("select current_setting('memory_limit')")
    warehouse.close()
    number, unit = told.split()
    assert unit == "MiB"
    assert float(number) == pytest.approx(2**30 / 2 / 2**20, abs=0.2)
