"""The setting memory_limit, and the engine's part of it."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from etl.base import memory
from etl.base.memory import KEPT_PART, OTHERS, engine_limit, machine_memory
from etl.base.settings import Settings
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql


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
    """A limit as people write it -> the engine's part: all but the part of the others, and at least half."""
    assert engine_limit(limit) == part


@pytest.mark.parametrize("text", ["4GB", "1.5 TiB", "512MB", "0KB"])
def test_the_setting_keeps_its_spelling(text: str) -> None:
    """A number, perhaps a space, and a unit from KB to TiB -> the setting is the text as it was given."""
    assert Settings(memory_limit=text).model_dump()["memory_limit"] == text


@pytest.mark.parametrize("text", ["4", "4gb", "4Gb", "4G", "4B", "4PB", "4  GB", " 4GB", "4GB\n", "-4GB", ".5GB", "1e3GB"])
def test_other_spellings_are_refused(text: str) -> None:
    """No unit, another unit or case, or no plain number -> refused."""
    with pytest.raises(ValidationError):
        Settings(memory_limit=text)


def test_the_default_is_half_of_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No limit -> half of the machine's memory, or of its control group's if that is less."""
    whole = machine_memory()
    assert engine_limit(None) == max(whole // 2 - OTHERS, whole // 4)
    group = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CGROUP_LIMIT", group)
    for text, expected in (("1000000000\n", 10**9), ("max\n", None)):
        group.write_text(text, encoding="ascii")
        assert machine_memory() == expected or (expected is None and machine_memory() >= whole)


def test_the_engine_is_told(sql: Sql, tmp_path: Path) -> None:
    """The warehouse's engine gets its part of the limit."""
    warehouse = Warehouse.create(sql, Settings(memory_limit="1GiB"), tmp_path / "etl.duckdb")
    told = warehouse.execute("select current_setting('memory_limit'), current_setting('block_allocator_memory')")[0]
    warehouse.close()
    numbers, units = zip(*(size.split() for size in told), strict=True)
    assert units == ("MiB", "MiB")
    assert [float(number) for number in numbers] == pytest.approx([512, 512 / KEPT_PART], abs=0.2)


#: Touches and frees memory, and prints how many pages it takes to do so once more.
AGAIN = """
import resource
from etl.base.memory import keep_freed_memory

{keep}
def touch():
    for _ in range(20):
        blocks = [bytearray(b"x") * (1 << 20) for _ in range(20)]
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told")
def test_freed_memory_is_used_again() -> None:
    """Freed memory is used again without asking the kernel for a page."""
    pages = {keep: int(run_python(AGAIN.format(keep=keep))) for keep in ("", "keep_freed_memory()")}
    assert pages[""] > 10_000
    assert pages["keep_freed_memory()"] < 100


#: Prints the option of the engine's allocator, if the engine has it built in.
TOLD = """
import ctypes
from etl.base.memory import keep_freed_memory

keep_freed_memory()
import _duckdb

engine = ctypes.CDLL(_duckdb.__file__)
if hasattr(engine, "duckdb_je_mallctl"):
    value, size = ctypes.c_ssize_t(), ctypes.c_size_t(8)
    engine.duckdb_je_mallctl(b"opt.dirty_decay_ms", ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0))
    print(value.value)
"""


def test_the_engine_hears_that_freed_memory_is_kept() -> None:
    """With the option set before it is loaded, the engine's own allocator keeps freed memory, however long it lies free."""
    told = run_python(TOLD)
    if not told:
        pytest.skip("the engine has no allocator of its own here")
    assert told == "-1\n"


#: Prints for a command whether the engine was loaded before the allocators were told.
BEFORE = """
import sys
from etl.cli import app as cli

cli.keep_freed_memory = lambda: print("_duckdb" in sys.modules)
sys.argv = ["etl", "health", "--root", "/nowhere"]
try:
    cli.app()
except SystemExit:
    pass
"""


def test_each_command_tells_before_the_engine_is_loaded() -> None:
    """The command line sets the allocators' options before anything loads the engine."""
    assert run_python(BEFORE) == "False\n"


def test_who_gave_the_allocator_an_option_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that the user set in the environment stays."""
    name = memory._ENGINE_OPTIONS[0]
    monkeypatch.setenv(name, "dirty_decay_ms:5000")
    memory.keep_freed_memory()
    assert os.environ[name] == "dirty_decay_ms:5000"


def run_python(program: str) -> str:
    """Run a program in a process of its own and return what it prints."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
