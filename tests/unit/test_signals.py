"""Ctrl-C and SIGTERM: what they stop, what they do not cut, and how they are handled afterwards."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
from conftest import INTERRUPTED, etl, evidence_line, write_evidence

from etl.base.signals import SIGNALS, ignore_signals, interrupting, run_stoppable, stop_if_told
from etl.base.threads import Background, map_ahead, read_ahead
from etl.warehouse.connection import Warehouse

#: A join that takes the engine minutes.
LONG = "select count(*) from range(1000000) as a, range(1000000) as b where a.range * b.range % 7 = 3"

#: Seconds within which a job must stop, even on a busy machine.
SOON = 5.0


@pytest.fixture(autouse=True)
def _heard_as_before() -> Iterator[None]:
    """Restore the handling of signals after each test: a job that was told to stop ignores them for the rest of its process."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def tell(number: signal.Signals = signal.SIGTERM) -> None:
    """Send this process a signal, and wait until its main thread has handled it."""
    os.kill(os.getpid(), number)
    time.sleep(0.2)


def tell_later(number: signal.Signals = signal.SIGTERM) -> None:
    """Send this process a signal after a moment."""
    threading.Timer(0.3, tell, [number]).start()


def running(block: Callable[[], object], interrupt: Callable[[], None] = lambda: None) -> Callable[[], object]:
    """Return a job whose block is interrupted by a signal."""

    def job() -> object:
        with interrupting(interrupt):
            return block()

    return job


@pytest.mark.parametrize("number", SIGNALS)
def test_the_engine_is_interrupted(warehouse: Warehouse, number: signal.Signals) -> None:
    """A statement that would take minutes ends with KeyboardInterrupt, not with the engine's error."""
    begin = time.monotonic()
    tell_later(number)
    with pytest.raises(KeyboardInterrupt):
        run_stoppable(running(lambda: warehouse.execute(LONG), warehouse.interrupt))
    assert time.monotonic() - begin < SOON


def test_so_is_what_another_thread_has_it_compute(warehouse: Warehouse) -> None:
    """All cursors are interrupted, and a thread that used one has ended when the job has; the warehouse can be closed."""

    def compute() -> None:
        with Background() as background:
            background.give(warehouse.cursor().execute, LONG)

    tell_later()
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run_stoppable(running(compute, warehouse.interrupt))
    assert threading.active_count() <= threads
    warehouse.close()


def test_a_row_of_short_statements_is_stopped() -> None:
    """A signal ends the job during any of many short statements."""

    def compute() -> None:
        with duckdb.connect() as connection, interrupting(connection.interrupt):
            while True:
                connection.execute("select count(*) from range(1000)")
                stop_if_told()

    tell_later()
    with pytest.raises(KeyboardInterrupt):
        run_stoppable(compute)


def test_no_step_is_cut_that_python_takes_itself() -> None:
    """The step under way is finished; the job ends where it next checks for a stop."""
    done = []

    def job() -> None:
        tell()
        done.append("this")
        stop_if_told()
        done.append("not that")

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(job)
    assert done == ["this"]


def test_a_job_that_never_looks_is_stopped_at_its_end() -> None:
    """A signal counts even if the job never checks for it."""
    with pytest.raises(KeyboardInterrupt):
        run_stoppable(tell)


def test_a_stop_that_was_swallowed_counts() -> None:
    """If something swallows the KeyboardInterrupt, the next block and the end of the job raise it again."""
    begun = []

    def job() -> None:
        tell()
        with suppress(KeyboardInterrupt):
            stop_if_told()
        running(lambda: begun.append("more"))()

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(job)
    assert not begun


def test_threads_stop_at_their_next_step() -> None:
    """A job that gives items to a thread, or takes them from one, is stopped at the next item."""

    def take_ahead() -> None:
        with read_ahead(range(10)) as items:
            assert next(items) == 0
            tell()
            next(items)

    def give() -> None:
        with Background() as background:
            tell()
            background.give(print)

    def take_results() -> None:
        with map_ahead(abs, range(10)) as results:
            assert next(results) == 0
            tell()
            next(results)

    for job in (take_ahead, give, take_results):
        with pytest.raises(KeyboardInterrupt):
            run_stoppable(job)


def test_an_error_without_a_signal_stays_itself() -> None:
    """Only an error that a signal caused becomes KeyboardInterrupt."""

    def fail() -> None:
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        run_stoppable(running(fail))


def test_afterwards_signals_are_heard_as_before() -> None:
    """A job that was not told to stop leaves nothing behind: no handler, no thread, and no later stop."""
    before = [signal.getsignal(number) for number in SIGNALS]
    threads = threading.active_count()
    during = run_stoppable(lambda: [signal.getsignal(number) for number in SIGNALS])
    assert during != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert threading.active_count() == threads
    stop_if_told()


def test_what_must_not_be_cut_is_not() -> None:
    """After ignore_signals a job continues to its end, and signals stay ignored."""

    def job() -> str:
        ignore_signals()
        tell()
        stop_if_told()
        return "published"

    assert run_stoppable(job) == "published"
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.SIG_IGN] * 2


def test_a_second_signal_is_ignored() -> None:
    """A second, impatient Ctrl-C does not cut the cleaning up."""

    def job() -> None:
        tell(signal.SIGINT)
        stop_if_told()

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(job)
    tell(signal.SIGINT)
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.SIG_IGN] * 2


def test_another_thread_gets_no_signals() -> None:
    """Outside the main thread a job simply runs."""
    done: list[str] = []
    thread = threading.Thread(target=lambda: done.append(run_stoppable(lambda: "done")))
    thread.start()
    thread.join()
    assert done == ["done"]


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
