"""Several jobs at once: side by side, ahead of a consumer, or in the background of a producer.

Everything heavy here (the engine, compression, parsing, hashing of large blocks) lets other threads run meanwhile. Threads end
with their ``with`` blocks, also those of a run that is told to stop, which ends at their next step.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice, repeat, takewhile
from types import TracebackType
from typing import Any, Self, TypeVar

from etl.base.signals import stop_if_told

S = TypeVar("S")
T = TypeVar("T")

_END: Any = object()


def run_together(job: Callable[..., T], *arguments: Iterable[Any], workers: int | None = None) -> list[T]:
    """Do a job with each set of arguments, so many at the same time, and return the results in their order.

    The first error in that order is raised, when the jobs have ended that had begun.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="run_together") as pool:
        try:
            return list(pool.map(job, *arguments))
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def read_ahead(items: Iterable[T]) -> Iterator[Iterator[T]]:
    """Give the items; a thread fetches up to two of them ahead.

    An error of the items is raised in its turn, where the next item is asked for.
    """
    left = iter(items)
    with map_ahead(lambda _: next(left, _END), repeat(None), workers=1) as fetched:
        yield takewhile(lambda item: item is not _END, fetched)


@contextmanager
def map_ahead(job: Callable[[S], T], items: Iterable[S], workers: int = 2) -> Iterator[Iterator[T]]:
    """Give the result of a job for each item, in their order; each of the threads works up to two items ahead.

    An error of a job is raised where its result is asked for; an error of the items, as soon as they raise it.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="map_ahead")
    left = iter(items)

    def results() -> Iterator[T]:
        under_way = deque(pool.submit(job, item) for item in islice(left, 2 * workers))
        while under_way:
            result = under_way.popleft().result()
            stop_if_told()
            under_way.extend(pool.submit(job, item) for item in islice(left, 1))
            yield result

    try:
        yield results()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def workers(count: int) -> Iterator[Executor]:
    """Give so many threads for jobs; those that have not begun when the block ends are not done."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="workers")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class Background:
    """A thread that does jobs in the order in which they are given; ``give`` waits while ``depth`` jobs are undone.

    An error of a job is raised by a later ``give``, or at the end of the ``with`` block, also where the block itself fails: the
    job was given before. Jobs that have not begun when the block fails are not done.
    """

    def __init__(self, depth: int = 2) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")
        self._undone: deque[Future[None]] = deque()
        self._depth = depth

    def give(self, job: Callable[..., None], *arguments: Any) -> None:
        """Have ``job(*arguments)`` done after all jobs that were given before."""
        stop_if_told()
        while len(self._undone) >= self._depth:
            self._undone.popleft().result()
        self._undone.append(self._worker.submit(job, *arguments))

    def wait(self) -> None:
        """Wait until all jobs are done."""
        while self._undone:
            self._undone.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for job in [*self._undone][1:] if error else ():  # the first is under way, or soon would be
            job.cancel()
        self._worker.shutdown()
        if isinstance(error, KeyboardInterrupt):
            return
        for job in self._undone:
            failure = None if job.cancelled() else job.exception()
            if failure:
                raise failure from error
