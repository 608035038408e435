"""The setting memory_limit, and the engine's share of it."""

from pathlib import Path

import pytest

from etl import memory
from etl.memory import ENGINE_SHARE, engine_limit, machine_memory
from etl.settings import Settings
from etl.views import Sql
from etl.warehouse import Warehouse


@pytest.mark.parametrize(
    ("limit", "size"),
    [("2GB", 2 * 10**9), ("2 GiB", 2 * 2**30), ("1.5GB", 15 * 10**8), ("512MB", 512 * 10**6), ("64KiB", 64 * 1024)],
)
def test_the_engine_gets_its_share(limit: str, size: int) -> None:
    """A limit as people write it -> the engine's part of so many bytes."""
    assert engine_limit(limit) == int(size * ENGINE_SHARE)


def test_the_default_is_half_of_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No limit -> half of the machine's memory, or of what its control group may have, where that is less."""
    whole = machine_memory()
    assert engine_limit(None) == int(whole / 2 * ENGINE_SHARE)
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
    assert float(number) == pytest.approx(1024 * ENGINE_SHARE, abs=0.2)
