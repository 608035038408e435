"""Ctrl-C and SIGTERM end a run at once, also while the engine computes."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Seconds between two attempts to interrupt the engine: one that falls between two statements stops neither.
PATIENCE = 0.05


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Raise KeyboardInterrupt in the block on SIGINT or SIGTERM.

    Python runs a handler only between two of its own steps, and a statement of the engine is one step. So a thread waits
    for the signal as well, and calls ``interrupt`` until the block has ended. After the first signal, further ones are
    ignored. Does nothing outside the main thread, as others get no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen, told = os.pipe()
    os.set_blocking(told, False)
    heard, ended = threading.Event(), threading.Event()

    def watch() -> None:
        if not os.read(seen, 1):
            return  # the block has ended, and the pipe is closed
        heard.set()
        while not ended.wait(PATIENCE):
            interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    handlers = {number: signal.signal(number, _raise) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    try:
        yield
    except Exception as error:
        if heard.is_set():  # what the interrupted engine says of it
            raise KeyboardInterrupt from error
        raise
    finally:
        ended.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            if signal.getsignal(number) is _raise:
                signal.signal(number, handler)
        os.close(told)  # so that the watcher ends too; a write could fail
        watcher.join()
        os.close(seen)


def ignore() -> None:
    """Hear no SIGINT or SIGTERM for the rest of the process: it is at its end, and what it does now must not be cut.

    Does nothing outside the main thread.
    """
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _raise(_number: int, _frame: FrameType | None) -> None:
    ignore()  # one is enough: an impatient second one must not cut the clearing up
    raise KeyboardInterrupt
