"""Ctrl-C and SIGTERM end a job at its next step: it runs in a worker thread, while the main thread hears the signals."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Seconds between two looks at whether a signal came. The engine is interrupted as often: once is too few, because an
#: interruption that falls between two statements stops neither.
PATIENCE = 0.05

_told = threading.Event()
_ignored = threading.Event()
_interrupts: list[Callable[[], None]] = []


def run_stoppable(job: Callable[[], T]) -> T:
    """Do a job in a worker thread and return its result. Raises KeyboardInterrupt where SIGINT or SIGTERM stopped the job.

    The first signal is enough: later ones are ignored for the rest of the process, so that they do not cut the clearing up.
    Outside the main thread, which alone gets signals, the job is simply done.
    """
    if threading.current_thread() is not threading.main_thread():
        return job()
    _told.clear()
    _ignored.clear()
    before = {number: signal.signal(number, lambda *_: _told.set()) for number in SIGNALS}
    try:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="job") as worker:
            future = worker.submit(job)
            while not wait([future], timeout=PATIENCE).done:
                if _is_told():
                    for interrupt in tuple(_interrupts):
                        interrupt()
        stop_if_told()
        return future.result()
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if _told.is_set() or _ignored.is_set() else handler)
        if not _ignored.is_set():
            _told.clear()


@contextmanager
def interrupting(interrupt: Callable[[], None]) -> Iterator[None]:
    """Have a signal call ``interrupt`` while the block is under way, in whichever thread the engine computes.

    The engine then raises an error of its own, from which the block makes KeyboardInterrupt.
    """
    stop_if_told()
    _interrupts.append(interrupt)
    try:
        yield
    except Exception as error:
        if _is_told():
            raise KeyboardInterrupt from error
        raise
    finally:
        _interrupts.remove(interrupt)


def stop_if_told() -> None:
    """Raise KeyboardInterrupt where a signal came; in any thread of the job."""
    if _is_told():
        raise KeyboardInterrupt


def ignore_signals() -> None:
    """Ignore signals for the rest of the process: what the job does now must not be cut."""
    _ignored.set()


def _is_told() -> bool:
    return _told.is_set() and not _ignored.is_set()
