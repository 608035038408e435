"""Judges items and takes their fields; lines of much evidence in processes, as Python's lock lets one thread work at a time.

What comes of items does not depend on where they are judged, nor on when.
"""

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context, parent_process
from multiprocessing.util import Finalize
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from etl.base.errors import StageError
from etl.base.signals import SIGNALS
from etl.ingest.fields import FieldParser
from etl.ingest.formats.lines import split
from etl.ingest.formats.strict_json import Refusal, is_blank, read_object, without_nan

#: A process pays for so many bytes of evidence: it takes half a second to start.
BYTES_PER_PROCESS = 64 << 20

#: Before the first one starts, so many bytes must have been read: of large evidence, few may be new.
BYTES_BEFORE = 16 << 20

#: What is shorter is judged where it was read, such as small files: to hand it over and back takes longer.
BYTES_WORTH_HANDING_OVER = 256 << 10

T = TypeVar("T")


class Judged(NamedTuple):
    """What came of items that were judged together; a place is the index of an item among them.

    ``rows`` are the good ones, which stand at ``places``: json is the text of an item, _content its bytes where these are
    others; _problem and _detail say what is wrong with a field. ``refused`` are place, sha256, reason and bytes of the others
    that are not blank. ``nan`` counts the numbers that were read as null, ``nan_of_last`` those of the last item.
    """

    places: list[int]
    rows: pa.Table
    refused: list[tuple[int, str, Refusal, bytes]]
    items: int
    blank: int
    is_last_blank: bool
    nan: int
    nan_of_last: int


@dataclass(frozen=True)
class Judge:
    """Judges items of one source, each within the limits of ``read_object``."""

    fields: FieldParser
    nan_is_null: bool
    max_depth: int
    max_values: int

    def judge_lines(self, read: bytes | Sequence[bytes]) -> Judged:
        """Judge lines, of which some may be blank; they are split here where they were read as they are."""
        lines = split(read) if isinstance(read, bytes) else read
        texts = [without_nan(line) for line in lines] if self.nan_is_null else [(line, 0) for line in lines]
        return self.judge(lines, texts)

    def judge(self, contents: Sequence[bytes], texts: Sequence[tuple[bytes, int]]) -> Judged:
        """Judge items by the texts that are read in place of their bytes, each with how many numbers in it became null."""
        places: list[int] = []
        values: list[dict[str, Any]] = []
        refused: list[tuple[int, str, Refusal, bytes]] = []
        blank = 0
        for place, (text, _) in enumerate(texts):
            if is_blank(text):
                blank += 1
                continue
            value = read_object(text, self.max_depth, self.max_values)
            if isinstance(value, Refusal):
                refused.append((place, sha256(contents[place]).hexdigest(), value, contents[place]))
            else:
                places.append(place)
                values.append(value)
        rows = self.rows([contents[place] for place in places], [texts[place][0] for place in places], values)
        last, nan_of_last = texts[-1] if texts else (b"", 0)
        nan = sum(count for _, count in texts)
        return Judged(places, rows, refused, len(texts), blank, is_blank(last), nan, nan_of_last)

    def rows(self, contents: Sequence[bytes], texts: Sequence[bytes], values: Sequence[dict[str, Any]]) -> pa.Table:
        """Return the rows of good items: their bytes, their texts, and these as objects."""
        columns, faults = self.fields.parse(texts, values)
        json = pa.array(texts, pa.binary())  # the judge has seen that it is UTF-8
        others = [None if content == text else content for content, text in zip(contents, texts, strict=True)]
        rows = {
            "item_sha256": pa.array([sha256(content).hexdigest() for content in contents], pa.string()),
            "json": json.view(pa.string()),
            "_content": pa.array(others, pa.binary()),
            "_problem": _sparse({index: fault.problem for index, fault in faults.items()}, len(texts)),
            "_detail": _sparse({index: fault.detail for index, fault in faults.items()}, len(texts)),
        }
        return pa.table(rows | dict(zip(self.fields.schema.names, columns, strict=True)))


def _sparse(values: dict[int, Any], length: int) -> pa.Array:
    """Return an array of texts that is null but at a few indexes."""
    return pa.array([values.get(index) for index in range(length)], pa.string()) if values else pa.nulls(length, pa.string())


class Judging:
    """Where lines are judged: in so many processes once enough were read, and at once before, or where there are none."""

    def __init__(self, processes: int = 0) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._read = 0

    def close(self) -> None:
        """End the processes, when they have done what is under way."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def judged(self, judge: Judge, reads: Iterable[bytes | list[bytes] | T]) -> Iterator[Judged | T]:
        """Yield what was read, in its order, and in place of lines what came of them.

        An error of the reading is raised once the lines that were read before are judged.
        Raises StageError where a process is killed.
        """
        try:
            yield from self._judged(judge, reads)
        except BrokenProcessPool:
            raise StageError("A process that judges lines was killed, perhaps for want of memory; set fewer threads.") from None

    def _judged(self, judge: Judge, reads: Iterable[bytes | list[bytes] | T]) -> Iterator[Judged | T]:
        waiting: deque[Future[Judged] | Judged | T] = deque()
        failure = None
        left = iter(reads)
        while True:
            try:
                read = next(left, None)
            except OSError as error:
                read, failure = None, error
            if read is None:
                break
            if isinstance(read, bytes) and (pool := self._pool_after(len(read))):
                waiting.append(pool.submit(judge.judge_lines, read))
            elif isinstance(read, bytes | list):  # a single line may be long: it is not copied to a process and back
                waiting.append(judge.judge_lines(read))
            else:
                waiting.append(read)
            while len(waiting) > (2 * self._processes if self._pool else 0):
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())
        if failure:
            raise failure

    def _pool_after(self, size: int) -> ProcessPoolExecutor | None:
        """Return the processes if they pay for themselves, now that so many bytes more were read."""
        self._read += size
        if size < BYTES_WORTH_HANDING_OVER:
            return None
        if not self._pool and self._processes and self._read > BYTES_BEFORE:
            self._pool = ProcessPoolExecutor(self._processes, get_context("spawn"), _begin)
        return self._pool


def _result(waited: "Future[Judged] | Judged | T") -> Judged | T:
    return waited.result() if isinstance(waited, Future) else waited


@contextmanager
def judging(workers: int, size: int) -> Iterator[Judging]:
    """Give processes for at most so many bytes of evidence, beside so many threads: half as many, but none for little."""
    with closing(Judging(min(workers // 2, size // BYTES_PER_PROCESS))) as given:
        yield given


def _begin() -> None:
    """Leave it to the process that started this one to hear signals, and end when it ends, however it does.

    The end is at once: the engine's package, which this process does not use, would report on stderr what it does not free.
    """
    Finalize(None, os._exit, args=(0,), exitpriority=-1)
    gc.disable()  # items are trees
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    parent = parent_process()
    if parent:
        Thread(target=_end_after, args=(parent.join,), daemon=True).start()


def _end_after(wait: Callable[[], object]) -> None:
    wait()
    os._exit(1)
