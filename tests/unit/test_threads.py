"""Several things at once, side by side or in order: their results, and their errors."""

import threading
from collections.abc import Iterator

import pytest

from etl.base.threads import Background, map_ahead, read_ahead, run_together


def failing_at(number: int) -> Iterator[int]:
    """Yield 0, 1, 2 and so on, and fail instead of one of them."""
    yield from range(number)
    raise ValueError("no more")


def test_jobs_at_once_meet() -> None:
    """Two jobs that wait for each other both end, and their results come in the order of the arguments."""
    meeting = threading.Barrier(2, timeout=20)
    assert run_together(lambda number, name: (meeting.wait() in (0, 1), number, name), (1, 2), "ab") == [
        (True, 1, "a"),
        (True, 2, "b"),
    ]


def test_the_first_error_of_jobs_at_once_is_raised() -> None:
    """The error is raised when all jobs have ended, so that nothing runs on."""
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        run_together(lambda number: 1 / number, (1, 0, 2))
    assert threading.active_count() == before


def test_items_come_in_their_order() -> None:
    """Items that are read ahead come out in their order, also if there are none."""
    for items in (list(range(100)), [], [None, None]):
        with read_ahead(items) as ready:
            assert list(ready) == items


def test_an_error_of_the_items_comes_in_its_turn() -> None:
    """The items before the one that fails come out; then the error is raised."""
    with read_ahead(failing_at(3)) as ready:
        assert [next(ready), next(ready), next(ready)] == [0, 1, 2]
        with pytest.raises(ValueError, match="no more"):
            next(ready)


def test_who_stops_early_leaves_no_thread() -> None:
    """A consumer that stops leaves nothing running."""
    before = threading.active_count()
    with read_ahead(range(1000)) as ready:
        assert next(ready) == 0
    assert threading.active_count() == before


def test_who_fails_leaves_no_thread() -> None:
    """A consumer that fails leaves nothing running either, though its error still refers to the iterator."""
    before = threading.active_count()
    with pytest.raises(KeyError) as failure, read_ahead(range(1000)) as ready:  # noqa: PT012 - the block is what is tested
        next(ready)
        raise KeyError
    assert failure.traceback
    assert threading.active_count() == before


def test_results_come_in_the_order_of_the_items() -> None:
    """Two jobs at a time wait for each other; their results come in the order of the items."""
    meeting = threading.Barrier(2, timeout=20)

    def job(item: int) -> int:
        meeting.wait()
        return item * item

    with map_ahead(job, range(100)) as results:
        assert list(results) == [item * item for item in range(100)]
    with map_ahead(job, []) as results:
        assert list(results) == []


def test_an_error_of_a_result_comes_in_its_turn() -> None:
    """The results before the one that fails come out; then the error is raised, and no thread is left."""
    before = threading.active_count()
    with map_ahead(lambda item: 6 // item, (3, 2, 1, 0, 1)) as results:
        assert [next(results), next(results), next(results)] == [2, 3, 6]
        with pytest.raises(ZeroDivisionError):
            next(results)
    assert threading.active_count() == before


def test_who_stops_asking_leaves_no_thread() -> None:
    """A consumer of results that stops early leaves nothing running."""
    before = threading.active_count()
    with map_ahead(abs, range(1000)) as results:
        assert next(results) == 0
    assert threading.active_count() == before


def test_jobs_are_done_in_their_order() -> None:
    """At the end of the block all jobs are done, in the order in which they were given."""
    done: list[int] = []
    with Background() as behind:
        for number in range(50):
            behind.give(done.append, number)
    assert done == list(range(50))


def test_an_error_of_a_job_reaches_who_gave_it() -> None:
    """The error of a job is raised at the end of the block, at the latest."""

    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), Background() as behind:
        behind.give(fail)


def test_of_two_errors_the_one_of_the_job_is_raised() -> None:
    """If a job fails and then the block, the job's error is raised, as the job came first; the block's error is its cause."""
    failing = threading.Event()

    def fail() -> None:
        assert failing.wait(20)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken") as failure, Background() as behind:  # noqa: PT012 - the block is tested
        behind.give(fail)
        failing.set()
        raise KeyError
    assert isinstance(failure.value.__cause__, KeyError)


def test_an_error_of_the_giver_cancels_what_waits() -> None:
    """If the block itself fails, its own error is raised, and jobs that have not begun are not done."""
    gate = threading.Event()
    done: list[int] = []
    with pytest.raises(KeyError), Background(depth=3) as behind:  # noqa: PT012 - the block is what is tested
        behind.give(gate.wait)
        behind.give(done.append, 1)
        gate_opener = threading.Timer(0.05, gate.set)
        gate_opener.start()
        raise KeyError
    assert done == []
