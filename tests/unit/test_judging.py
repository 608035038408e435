"""Lines are judged in processes as they are judged at once: the same rows, in their order, whatever goes wrong."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import etl, evidence_line, write_evidence

from etl.base.errors import StageError
from etl.ingest import judging as judging_module
from etl.ingest.fields import FieldParser
from etl.ingest.formats.lines import Blank
from etl.ingest.judging import BYTES_PER_PROCESS, Judge, Judged, Judging, judging

JUDGE = Judge(FieldParser([]), nan_is_null=True, max_depth=64, max_values=1000)
BLOCKS = [[b'{"a": 1}', b"", b"{"], [b'{"a": NaN}', b"[]"], [b" "], [b'{"a": {}}'] * 50, b'{"a": 1}\n\n{\n']


@pytest.fixture(autouse=True)
def start_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes start with the first lines, however short they are."""
    monkeypatch.setattr(judging_module, "BYTES_BEFORE", 0)
    monkeypatch.setattr(judging_module, "BYTES_WORTH_HANDING_OVER", 0)


@pytest.fixture(scope="module")
def processes() -> Iterator[Judging]:
    """Give two processes that judge."""
    with judging(4, 2 * BYTES_PER_PROCESS) as given:
        yield given


def shown(found: Iterator[Judged | Blank]) -> list[object]:
    """Return what came of lines, as it can be compared."""
    return [each._replace(rows=each.rows.to_pylist()) if isinstance(each, Judged) else each for each in found]


def test_places_and_counts() -> None:
    """Good lines have their places among all; of the others it is known why, and how many are blank."""
    first, second, third, _, block = Judging().judged(JUDGE, BLOCKS)
    assert (first.places, first.items, first.blank, first.is_last_blank) == ([0], 3, 1, False)
    assert [(place, refusal.reason) for place, _, refusal, _ in first.refused] == [(2, "malformed_json")]
    assert (second.places, second.nan, second.nan_of_last) == ([0], 1, 0)
    assert second.rows.select(["json", "_content"]).to_pylist() == [{"json": '{"a": null}', "_content": b'{"a": NaN}'}]
    assert (third.places, third.blank, third.is_last_blank) == ([], 1, True)
    assert block._replace(rows=None) == first._replace(rows=None)


def test_processes_give_the_same_in_the_same_order(processes: Judging) -> None:
    """What is no line keeps its place between them."""
    reads = [*BLOCKS, Blank(3), *BLOCKS, *[b'{"a": 2}\n'] * 9, *BLOCKS]
    assert shown(processes.judged(JUDGE, reads)) == shown(Judging().judged(JUDGE, reads))


@pytest.mark.parametrize("is_apart", [False, True])
def test_lines_before_an_error_are_judged(processes: Judging, is_apart: bool) -> None:
    """Where reading fails, what was read before comes first."""

    def reads() -> Iterator[list[bytes]]:
        yield from BLOCKS
        raise OSError(5, "the disk fails")

    found = (processes if is_apart else Judging()).judged(JUDGE, reads())
    assert [each.items for each in (next(found) for _ in BLOCKS)] == [3, 2, 1, 50, 3]
    with pytest.raises(OSError, match="the disk fails"):
        next(found)


def test_a_process_that_is_killed_is_named() -> None:
    """Nobody waits for it."""
    with judging(2, BYTES_PER_PROCESS) as given:
        assert len([*given.judged(JUDGE, [b"{}\n"] * 9)]) == 9
        assert given._pool
        for number in given._pool._processes:
            os.kill(number, signal.SIGKILL)
        with pytest.raises(StageError, match="was killed, perhaps for want of memory; set fewer threads"):
            [*given.judged(JUDGE, [b"{}\n"] * 9)]


def test_little_evidence_and_few_threads_need_no_process() -> None:
    """A process pays from some evidence on, and beside a thread that has another core."""
    for threads, size in ((2, BYTES_PER_PROCESS - 1), (1, 9 * BYTES_PER_PROCESS)):
        with judging(threads, size) as given:
            assert len([*given.judged(JUDGE, BLOCKS)]) == len(BLOCKS)
            assert given._pool is None


def test_processes_start_when_enough_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little may be new of large evidence."""
    monkeypatch.setattr(judging_module, "BYTES_BEFORE", 5)
    with judging(2, BYTES_PER_PROCESS) as given:
        found = given.judged(JUDGE, [b"{}\n"] * 3)
        next(found)
        assert given._pool is None
        assert [each.items for each in found] == [1, 1]
        assert given._pool


def test_short_reads_are_judged_where_they_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of very many small files is one."""
    monkeypatch.setattr(judging_module, "BYTES_WORTH_HANDING_OVER", 4)
    with judging(2, BYTES_PER_PROCESS) as given:
        assert len([*given.judged(JUDGE, [b"{}\n"] * 3)]) == 3
        assert given._pool is None
        assert len([*given.judged(JUDGE, [b"{}\n{}\n", b"{}\n"])]) == 2
        assert given._pool


SCRIPT = """
import time
from etl.ingest import judging as module
from etl.ingest.judging import BYTES_PER_PROCESS, judging
from test_judging import BLOCKS, JUDGE
if __name__ == '__main__':
    module.BYTES_BEFORE = module.BYTES_WORTH_HANDING_OVER = 0
    with judging(2, BYTES_PER_PROCESS) as given:
        assert len(list(given.judged(JUDGE, [*BLOCKS, b'{}\\n']))) == 6
        print(*given._pool._processes, flush=True)
        time.sleep(SECONDS)
"""

#: Where the script finds the package and this file.
SEARCHED = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}


def test_processes_end_without_a_word(tmp_path: Path) -> None:
    """Nothing that a library says of its own end is for people who run etl."""
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT.replace("SECONDS", "0"), encoding="utf-8")
    ended = subprocess.run([sys.executable, script], capture_output=True, env=os.environ | SEARCHED, check=True)
    assert ended.stderr == b""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    """Also where it is killed; they do not hear the signals that it hears."""
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT.replace("SECONDS", "60"), encoding="utf-8")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=os.environ | SEARCHED) as parent:
        assert parent.stdout
        (number,) = map(int, parent.stdout.readline().split())
        os.kill(number, signal.SIGTERM)
        os.kill(number, signal.SIGINT)
        time.sleep(0.2)
        assert Path(f"/proc/{number}").exists()
        parent.kill()
    for _ in range(100):
        if not Path(f"/proc/{number}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the process goes on without its parent")


def test_a_run_with_processes_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good lines, refused ones and blank ones."""
    lines = [evidence_line(f"task-{number % 40}", run_id=str(number), verdict="accept") for number in range(3000)]
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": [*lines, b"", b"{", b"\xff", *lines[:5]]})
    found, started = [], []
    pool_of = judging_module.ProcessPoolExecutor
    monkeypatch.setattr(judging_module, "ProcessPoolExecutor", lambda *given: (started.append(given), pool_of(*given))[1])
    for root, size in ((tmp_path / "in processes", 1), (tmp_path / "at once", 1 << 40)):
        root.mkdir()
        monkeypatch.setattr(judging_module, "BYTES_PER_PROCESS", size)
        options = ("--root", root, "--evidence", tmp_path / "evidence", "--set", "threads=4")
        assert etl("run-all", *options).exit_code == 1
        files = sorted((root / "exports").rglob("*.jsonl"))
        skipped = etl("sql", "from evidence.skipped order by all", "--root", root).stdout
        found.append(([file.read_bytes() for file in files], skipped))
        assert len(started) == 1
    assert found[0] == found[1]
