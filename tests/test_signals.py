"""Ctrl-C and SIGTERM: what they cut, what they leave alone, and who hears them afterwards."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
from conftest import INTERRUPTED, etl, evidence_line, write_evidence

from etl.base.signals import SIGNALS, interruptible, stop_if_told, stoppable
from etl.base.threads import Background, map_ahead, read_ahead
from etl.warehouse.connection import Warehouse

#: A join that takes the engine minutes.
LONG = "select count(*) from range(1000000) as a, range(1000000) as b where a.range * b.range % 7 = 3"

#: Seconds within which what was told to stop has stopped, on a busy machine too.
SOON = 5.0


@pytest.fixture(autouse=True)
def _heard_as_before() -> Iterator[None]:
    """Let the tests that follow hear signals as before: who was told to stop ignores them for the rest of its process."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def told(number: signal.Signals = signal.SIGTERM) -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), number)


def told_later(number: signal.Signals = signal.SIGTERM) -> None:
    """Send this process a signal in a moment."""
    threading.Timer(0.3, told, [number]).start()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_engine_is_interrupted(warehouse: Warehouse, number: signal.Signals) -> None:
    """A statement that would take minutes ends, as KeyboardInterrupt and not as the engine's error."""
    begin = time.monotonic()
    told_later(number)
    with pytest.raises(KeyboardInterrupt), stoppable(warehouse.interrupt):
        warehouse.execute(LONG)
    assert time.monotonic() - begin < SOON


def test_so_is_what_another_thread_has_it_compute(warehouse: Warehouse) -> None:
    """All cursors are interrupted, and the thread that used one has ended when the block has; the warehouse can be closed."""
    told_later()
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt), stoppable(warehouse.interrupt), Background() as behind:
        behind.give(warehouse.cursor().execute, LONG)
    assert threading.active_count() <= threads
    warehouse.close()


def test_no_step_is_cut_that_python_takes_itself() -> None:
    """What is under way is done to its end, where the engine does not raise; the block ends where it looks whether to stop."""
    done = []
    with pytest.raises(KeyboardInterrupt), stoppable(lambda: None):  # noqa: PT012 - the block is what is tested
        told()
        done.append("this")
        stop_if_told()
        done.append("not that")
    assert done == ["this"]


def test_a_block_that_never_looks_is_stopped_at_its_end() -> None:
    """Whoever told a block to stop is heard at the latest when it ends."""
    with pytest.raises(KeyboardInterrupt), stoppable(lambda: None):
        told()


def test_threads_stop_at_their_next_step() -> None:
    """Who gives to a thread, or takes from one, is stopped by the next item."""
    with pytest.raises(KeyboardInterrupt), stoppable(lambda: None), read_ahead(range(10)) as items:  # noqa: PT012
        assert next(items) == 0
        told()
        next(items)
    with pytest.raises(KeyboardInterrupt), stoppable(lambda: None), Background() as behind:  # noqa: PT012
        told()
        behind.give(print)
    with pytest.raises(KeyboardInterrupt), stoppable(lambda: None), map_ahead(abs, range(10)) as results:  # noqa: PT012
        assert next(results) == 0
        told()
        next(results)


def test_an_error_without_a_signal_stays_itself() -> None:
    """Only what a signal has caused becomes KeyboardInterrupt."""
    with pytest.raises(ValueError, match="of its own"), stoppable(lambda: None):
        raise ValueError("of its own")


def test_afterwards_signals_are_heard_as_before() -> None:
    """A block that was not told to stop leaves nothing behind: no handler, no thread, and nobody stopped later."""
    before = [signal.getsignal(number) for number in SIGNALS]
    threads = threading.active_count()
    with interruptible(), stoppable(lambda: None):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert threading.active_count() == threads
    stop_if_told()


def test_a_stop_that_was_swallowed_is_heeded_at_the_end() -> None:
    """Where a callback cannot raise, Python drops what its handler raised; the block ends as it was told to all the same."""
    with pytest.raises(KeyboardInterrupt), interruptible(), suppress(KeyboardInterrupt):
        told()
    stop_if_told()


def test_a_stop_that_was_swallowed_is_heeded_by_the_next_block() -> None:
    """The long part of a run does not begin where its short part was told to stop."""
    begun = False
    with pytest.raises(KeyboardInterrupt), interruptible():  # noqa: PT012 - the block is what is tested
        with suppress(KeyboardInterrupt):
            told()
        with stoppable(lambda: None):
            begun = True
    assert not begun


def test_what_comes_of_a_stop_is_a_stop() -> None:
    """The engine has an error of its own where a signal comes between its steps; people are told of an interruption."""
    with pytest.raises(KeyboardInterrupt), interruptible():  # noqa: PT012 - the block is what is tested
        with suppress(KeyboardInterrupt):
            told()
        raise RuntimeError("Query interrupted")


def test_whatever_the_engine_is_doing() -> None:
    """A signal ends a row of short statements, in whichever of them it comes."""
    with pytest.raises(KeyboardInterrupt), interruptible(), duckdb.connect() as connection:  # noqa: PT012
        told_later()
        while True:
            connection.execute("select count(*) from range(1000)")


def test_a_second_signal_is_ignored() -> None:
    """An impatient second Ctrl-C does not cut the clearing up."""
    for block in (interruptible(), stoppable(lambda: None)):
        with pytest.raises(KeyboardInterrupt), block:  # noqa: PT012 - the block is what is tested
            told(signal.SIGINT)
            stop_if_told()
        told(signal.SIGINT)
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.SIG_IGN] * 2


def test_a_query_can_be_stopped(tmp_path: Path) -> None:
    """Ctrl-C ends etl sql while the engine computes, with a sentence."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": [evidence_line()]})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    command = [sys.executable, "-m", "etl", "sql", LONG, "--root", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(3)
        assert process.poll() is None
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - begin < SOON
    assert (process.returncode, stderr) == (1, INTERRUPTED)
