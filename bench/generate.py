"""Writes seeded evidence for measuring: any number of lines in the ``evidence`` shape; the same arguments, the same bytes.

Texts are those of texts.py. 35 / 13 / 5 / 47 % of the records are accepted, partially accepted, rejected, and in need of
review. A task has 5 records on average, and one prompt. Each of five bad kinds has 0.3 % of the lines. Repeats has the shares
of records that repeat something; without them no two records have the same time. forms.py writes the same records in other
forms.
"""

import argparse
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from texts import ANSWERS, PROMPTS, WORDS, scattered, text

VERDICTS = ("accept",) * 35 + ("partial",) * 13 + ("reject",) * 5 + (None,) * 47
_BAD_KINDS = 5
_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
_SECONDS = 365 * 86_400

#: Seconds from one line to the next, around the year. It shares no divisor with the seconds of a year, so no time repeats.
_STRIDE = 7_368_787

#: The share of lines that each bad kind has.
BAD_SHARE = 0.003

#: Answers that agents give to many tasks.
_STOCK = (
    "I could not finish the task; the tests still fail.",
    'Done. {"status": "ok", "changed": []}',
    "I'm sorry, but I can't help with that request.",
)

#: Every producer of so many escapes what is not ASCII, as json.dumps does unless told otherwise.
_ESCAPING = 7

Record = dict[str, Any]


class Repeats(NamedTuple):
    """The shares of records that repeat something of others.

    ``duplicates`` are the record before, unchanged. ``told_again`` tell of the attempt before once more, at another time and
    with a verdict of their own. ``task_answers`` give the answer that others of their task give, ``stock_answers`` one of a few
    that any task gets.
    """

    duplicates: float = 0.01
    told_again: float = 0.05
    task_answers: float = 0.05
    stock_answers: float = 0.01


REPEATS = Repeats()

#: For evidence in which each attempt must be another.
NO_REPEATS = Repeats(0, 0, 0, 0)


def records(
    count: int,
    seed: int = 1,
    tasks: int | None = None,
    *,
    hot: int = 0,
    first: int = 0,
    verdicts: Sequence[str | None] = VERDICTS,
    repeats: Repeats = REPEATS,
) -> Iterator[Record]:
    """Yield ``count`` records over ``tasks`` tasks (a fifth of the records unless given).

    With as many tasks as records, and no repeats, each task has one record. ``hot`` records, spread evenly, belong to one more
    task, half accepted and half rejected; they repeat nothing. ``first`` is the number of the first record, for those that come
    later than others.
    """
    rng = random.Random(seed + first)
    tasks = tasks or max(1, count // 5)
    record: Record = {}
    for number in range(first, first + count):
        task = number if tasks == count else rng.randrange(tasks)
        verdict = rng.choice(verdicts)
        repeating = rng.random()
        if (nth := number * hot // count) < (number + 1) * hot // count:
            record = _record(rng, number, tasks, ("accept", "reject")[nth % 2], NO_REPEATS)
        elif record and repeating < repeats.told_again:
            record = _with_verdict(record | {"created_at": _time(number)}, verdict)
        elif not record or repeating >= repeats.told_again + repeats.duplicates:
            record = _record(rng, number, task, verdict, repeats)
        yield record


def lines(count: int, seed: int = 1, tasks: int | None = None, bad_share: float = BAD_SHARE, **options: Any) -> Iterator[bytes]:
    """Yield ``count`` lines without their line feeds: the records of these arguments and options.

    ``bad_share`` is the share of bad lines of each of the five kinds.
    """
    return spoiled(records(count, seed, tasks, **options), f"{seed} {options.get('first', 0)}", bad_share)


def spoiled(found: Iterable[Record], seed: str = "", bad_share: float = BAD_SHARE) -> Iterator[bytes]:
    """Yield the lines of records without their line feeds; ``bad_share`` is the share of bad lines of each kind."""
    rng = random.Random(f"bad {seed}")
    for record in found:
        kind = rng.random()
        yield _spoiled(as_json(record), int(kind / bad_share)) if kind < _BAD_KINDS * bad_share else as_json(record)


def as_json(record: Record) -> bytes:
    """Return a record as its producer writes it."""
    return json.dumps(record, ensure_ascii=record["model"] == f"model-{_ESCAPING - 1}").encode()


def write(
    file: Path, count: int, seed: int = 1, tasks: int | None = None, bad_share: float = BAD_SHARE, **options: Any
) -> Path:
    """Write ``count`` lines, see ``lines``, to a file and return it."""
    return write_lines(file, lines(count, seed, tasks, bad_share, **options))


def write_lines(file: Path, given: Iterable[bytes]) -> Path:
    """Write lines to a file, each with its line feed, and return it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.writelines(line + b"\n" for line in given)
    return file


def split(file: Path, folder: Path, files: int) -> Path:
    """Spread a file's lines, in order, over ``files`` files of the source ``evidence`` in a folder, and return the folder."""
    with file.open("rb") as stream:
        count = sum(1 for _ in stream)
        stream.seek(0)
        for part in range(files):
            size = (part + 1) * count // files - part * count // files
            target = folder / "evidence" / f"part-{part + 1:05d}.jsonl"
            write_lines(target, (line.removesuffix(b"\n") for line in islice(stream, size)))
    return folder


def append(file: Path, count: int, further: int, seed: int = 1, tasks: int | None = None) -> None:
    """Append ``further`` lines to a file of ``count`` lines: other runs of the same tasks."""
    tasks = tasks or max(1, count // 5)
    with file.open("ab") as stream:
        stream.writelines(line + b"\n" for line in lines(further, seed, tasks, first=count))


def _record(rng: random.Random, number: int, task: int, verdict: str | None, repeats: Repeats) -> Record:
    """Return the record of an attempt of its own."""
    file = f"src/{WORDS[task % len(WORDS)]}.py"
    record = {
        "source_class": "verdict",
        "run_id": f"run-{number:08d}",
        "task_id": f"task-{task:07d}",
        "created_at": _time(number),
        "model": f"model-{number % _ESCAPING}",
        "file": file,
        "prompt": text(scattered(task), PROMPTS),
        "response": _answer(rng, task, repeats),
        "cited_paths": [file],
        "latency_ms": rng.randint(100, 90_000) / 10,
        "cost_usd": rng.randint(1, 9_000) / 100_000,
        "prompt_tokens": rng.randint(50, 4_000),
        "completion_tokens": rng.randint(50, 2_000),
    }
    return _with_verdict(record, verdict)


def _with_verdict(record: Record, verdict: str | None) -> Record:
    """Return a record with this verdict, or with none."""
    graded = {name: value for name, value in record.items() if name != "verdict"}
    return graded if verdict is None else graded | {"verdict": verdict}


def _time(number: int) -> str:
    return f"{_YEAR + timedelta(seconds=number * _STRIDE % _SECONDS):%Y-%m-%dT%H:%M:%SZ}"


def _answer(rng: random.Random, task: int, repeats: Repeats) -> str:
    """Return an answer: one of its own, the one that others of the task give, or one that any task gets."""
    own, repeating = rng.getrandbits(64), rng.random()
    if repeating < repeats.task_answers:
        return text(scattered(~task), ANSWERS)
    if repeating < repeats.task_answers + repeats.stock_answers:
        return _STOCK[own % len(_STOCK)]
    return text(own, ANSWERS)


def _spoiled(line: bytes, kind: int) -> bytes:
    match kind:
        case 0:
            return line[: len(line) // 2].rstrip(b"}")  # the polars peer tells a whole line by its last byte
        case 1:
            return line.replace(b'"latency_ms": ', b'"latency_ms": NaN, "x": ')
        case 2:
            return line.replace(b'"model": "', b'"model": "\xff')
        case 3:
            return line.replace(b'{"source_class"', b'{"source_class": "verdict", "source_class"')
        case _:
            return line.replace(b'"task_id"', b'"task"')


def main() -> None:
    """Write the evidence that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, help="the file; with --files, the evidence folder")
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=None)
    parser.add_argument("--hot", type=int, default=0, help="lines of one task, half accepted and half rejected")
    parser.add_argument("--files", type=int, default=None, help="write the lines over so many files")
    parser.add_argument("--append", type=float, default=None, help="append this share of --lines to a file that has them")
    chosen = parser.parse_args()
    if chosen.append is not None:
        append(chosen.target, chosen.lines, int(chosen.lines * chosen.append), chosen.seed, chosen.tasks)
    elif chosen.files is not None:
        whole = write(chosen.target / "whole.tmp", chosen.lines, chosen.seed, chosen.tasks, hot=chosen.hot)
        split(whole, chosen.target, chosen.files)
        whole.unlink()
    else:
        write(chosen.target, chosen.lines, chosen.seed, chosen.tasks, hot=chosen.hot)


if __name__ == "__main__":
    main()
