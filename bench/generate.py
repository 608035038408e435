"""Seeded evidence for measuring: lines in the ``evidence`` shape, of any number, the same bytes for the same arguments.

Text of 400 to 1,200 characters; 35 / 13 / 5 / 47 % accepted, partially accepted, rejected, needing review; 5 attempts per
task on average and one prompt per task; 0.3 % of lines of each of five bad kinds.
"""

import argparse
import json
import random
from collections.abc import Iterator
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
_VERDICTS = ("accept",) * 35 + ("partial",) * 13 + ("reject",) * 5 + (None,) * 47
_BAD_KINDS = 5

#: The share of lines that are bad, for each kind.
BAD_SHARE = 0.003


def lines(count: int, seed: int = 1, tasks: int | None = None, bad_share: float = BAD_SHARE) -> Iterator[bytes]:
    """Yield ``count`` lines without their line feeds, over ``tasks`` tasks (a fifth of the lines unless given).

    ``bad_share`` of them are bad in each of five ways.
    """
    rng = random.Random(seed)
    tasks = tasks or max(1, count // 5)
    for number in range(count):
        line = _line(rng, number, rng.randrange(tasks))
        kind = rng.random()
        yield _spoiled(line, int(kind / bad_share)) if kind < _BAD_KINDS * bad_share else line


def write(file: Path, count: int, seed: int = 1, tasks: int | None = None, bad_share: float = BAD_SHARE) -> Path:
    """Write ``count`` lines to a file and return it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.writelines(line + b"\n" for line in lines(count, seed, tasks, bad_share))
    return file


def _line(rng: random.Random, number: int, task: int) -> bytes:
    verdict = rng.choice(_VERDICTS)
    record = {
        "source_class": "verdict",
        "run_id": f"run-{number:08d}",
        "task_id": f"task-{task:07d}",
        "created_at": f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}:00Z",
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
    # The shortest word has three letters, and a space follows: so many words are always enough.
    return " ".join(rng.choices(_WORDS, k=length // 4 + 1))[:length]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=None)
    chosen = parser.parse_args()
    write(chosen.file, chosen.lines, chosen.seed, chosen.tasks)
