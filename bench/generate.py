"""Writes seeded evidence for measuring: any number of lines in the ``evidence`` shape; the same arguments, the same bytes.

Texts have 400 to 1,200 characters. 35 / 13 / 5 / 47 % of the lines are accepted, partially accepted, rejected, and in need of
review. A task has 5 attempts on average, and one prompt. Each of five bad kinds has 0.3 % of the lines. No two lines have the
same time.
"""

import argparse
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

_WORDS = (
    "agent", "branch", "build", "cache", "change", "check", "class", "client", "commit", "config", "cursor",
    "default", "deploy", "error", "event", "failure", "file", "fixture", "flag", "function", "handler", "import",
    "index", "input", "job", "key", "limit", "line", "loader", "lock", "log", "loop", "merge", "message", "method",
    "model", "module", "option", "output", "parser", "patch", "path", "pool", "query", "queue", "record", "release",
    "request", "response", "result", "retry", "review", "row", "schema", "server", "session", "signal", "stage",
    "state", "step", "stream", "table", "task", "test", "thread", "timeout", "token", "trace", "type", "value",
    "worker",
)  # fmt: skip
VERDICTS = ("accept",) * 35 + ("partial",) * 13 + ("reject",) * 5 + (None,) * 47
_BAD_KINDS = 5
_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
_SECONDS = 365 * 86_400

#: Seconds from one line to the next, around the year. It shares no divisor with the seconds of a year, so no time repeats.
_STRIDE = 7_368_787

#: The share of lines that each bad kind has.
BAD_SHARE = 0.003


def lines(
    count: int,
    seed: int = 1,
    tasks: int | None = None,
    bad_share: float = BAD_SHARE,
    *,
    hot: int = 0,
    first: int = 0,
    verdicts: Sequence[str | None] = VERDICTS,
) -> Iterator[bytes]:
    """Yield ``count`` lines without their line feeds, over ``tasks`` tasks (a fifth of the lines unless given).

    With as many tasks as lines, each task has one line. ``bad_share`` is the share of bad lines of each of the five kinds.
    ``hot`` lines, spread evenly, belong to one more task, half accepted and half rejected. ``first`` is the number of the
    first line, for lines that come later than others.
    """
    rng = random.Random(seed + first)
    tasks = tasks or max(1, count // 5)
    for number in range(first, first + count):
        task = number if tasks == count else rng.randrange(tasks)
        verdict = rng.choice(verdicts)
        if (nth := number * hot // count) < (number + 1) * hot // count:
            task, verdict = tasks, ("accept", "reject")[nth % 2]
        line = _line(rng, number, task, verdict)
        kind = rng.random()
        yield _spoiled(line, int(kind / bad_share)) if kind < _BAD_KINDS * bad_share else line


def write(
    file: Path, count: int, seed: int = 1, tasks: int | None = None, bad_share: float = BAD_SHARE, *, hot: int = 0
) -> Path:
    """Write ``count`` lines to a file and return it."""
    return write_lines(file, lines(count, seed, tasks, bad_share, hot=hot))


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


def _line(rng: random.Random, number: int, task: int, verdict: str | None) -> bytes:
    record = {
        "source_class": "verdict",
        "run_id": f"run-{number:08d}",
        "task_id": f"task-{task:07d}",
        "created_at": f"{_YEAR + timedelta(seconds=number * _STRIDE % _SECONDS):%Y-%m-%dT%H:%M:%SZ}",
        "model": f"model-{number % 7}",
        "file": f"src/{_WORDS[task % len(_WORDS)]}.py",
        "prompt": _prompt(task),
        "response": _text(rng, rng.randint(400, 1200)),
        "cited_paths": [f"src/{_WORDS[task % len(_WORDS)]}.py"],
        "latency_ms": rng.randint(100, 90_000) / 10,
        "cost_usd": rng.randint(1, 9_000) / 100_000,
        "prompt_tokens": rng.randint(50, 4_000),
        "completion_tokens": rng.randint(50, 2_000),
    }
    if verdict is not None:
        record["verdict"] = verdict
    return json.dumps(record, ensure_ascii=False).encode()


def _spoiled(line: bytes, kind: int) -> bytes:
    match kind:
        case 0:
            return line[: len(line) // 2]
        case 1:
            return line.replace(b'"latency_ms": ', b'"latency_ms": NaN, "x": ')
        case 2:
            return line.replace(b'"model": "', b'"model": "\xff')
        case 3:
            return line.replace(b'{"source_class"', b'{"source_class": "verdict", "source_class"')
        case _:
            return line.replace(b'"task_id"', b'"task"')


def _prompt(task: int) -> str:
    return f"Task {task}: " + _text(random.Random(task), 160)


def _text(rng: random.Random, length: int) -> str:
    # The shortest word has three letters and a space follows it, so length // 4 + 1 words are always enough.
    return " ".join(rng.choices(_WORDS, k=length // 4 + 1))[:length]


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
