"""Ctrl-C and SIGTERM end a run soon, also while the engine computes, and never in the middle of one of Python's own steps."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Seconds between two attempts to interrupt the engine: one that falls between two statements stops neither.
PATIENCE = 0.05

_Handler = Callable[[int, FrameType | None], None]

#: Set while a block is under way that was told to stop.
_told = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block on SIGINT or SIGTERM, wherever it is; further ones are ignored.

    For what one thread does in short steps. Where the engine makes another error of it, or a callback that cannot raise makes
    nothing of it, it is raised at the end of the block. Does nothing outside the main thread, as others get no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _heeded(), _handled_by(_raise):
        yield


@contextmanager
def stoppable(interrupt: Callable[[], None]) -> Iterator[None]:
    """End the block with KeyboardInterrupt soon after SIGINT or SIGTERM; for what the engine does, and several threads.

    Python runs a handler only between two of its own steps, and a statement of the engine is one step. So a thread waits
    for the signal, and calls ``interrupt`` until the block has ended. No other step is cut, so that each thread ends as its
    blocks want it: where ``stop_if_told`` stands. Does nothing outside the main thread, as others get no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _heeded(), _handled_by(_note), _watching(interrupt):
        yield


def stop_if_told() -> None:
    """Raise KeyboardInterrupt where the block that is under way was told to stop; in any thread."""
    if _told.is_set():
        raise KeyboardInterrupt


def ignore() -> None:
    """Hear no SIGINT or SIGTERM for the rest of the process: it is at its end, and what it does now must not be cut.

    What was heard before has been heeded. Does nothing outside the main thread.
    """
    if threading.current_thread() is threading.main_thread():
        _told.clear()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def _heeded() -> Iterator[None]:
    """End the block with KeyboardInterrupt where it was told to stop, whatever was made of that inside it, or before it."""
    try:
        stop_if_told()
        try:
            yield
        except Exception as error:
            if _told.is_set():  # what the interrupted engine says of it
                raise KeyboardInterrupt from error
            raise
        stop_if_told()
    finally:
        _told.clear()


@contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    """Have a handler hear the signals in the block, and who heard them before after it, unless they are ignored by then."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            if _told.is_set():  # one is enough: an impatient second one must not cut the clearing up
                signal.signal(number, signal.SIG_IGN)
            elif signal.getsignal(number) is handler:
                signal.signal(number, earlier)


@contextmanager
def _watching(interrupt: Callable[[], None]) -> Iterator[None]:
    """Have a thread wait for a signal, and then call ``interrupt`` until the block has ended."""
    seen, told = os.pipe()
    os.set_blocking(told, False)
    ended = threading.Event()

    def watch() -> None:
        if not os.read(seen, 1):
            return  # the block has ended, and the pipe is closed
        _told.set()
        while not ended.wait(PATIENCE):
            interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    wakeup = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(wakeup)
        os.close(told)  # so that the watcher ends too; a write could fail
        watcher.join()
        os.close(seen)


def _raise(_number: int, _frame: FrameType | None) -> None:
    ignore()
    _told.set()
    raise KeyboardInterrupt


def _note(_number: int, _frame: FrameType | None) -> None:
    _told.set()
