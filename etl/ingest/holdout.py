"""The hold-out: which tasks are reserved for evaluation, so that no dataset has them."""

import codecs
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jiter import from_json

from etl.base.errors import UsageError


class Reserved(NamedTuple):
    """A row of ``policy.holdout``: a line of the file, and the task or the prompt that it names, or both."""

    line: int
    task_id: str | None
    prompt: str | None


@dataclass(frozen=True, slots=True)
class Holdout:
    """A hold-out: its file, and what the lines of that name."""

    file: Path
    rows: tuple[Reserved, ...]

    def sha256(self) -> str:
        """Return the sha256 hex over the rows, each a line of JSON."""
        return hashlib.sha256("\n".join(map(json.dumps, self.rows)).encode()).hexdigest()


def read_holdout(file: Path, asked_by: str = "--holdout") -> Holdout:
    """Read a hold-out: a task_id on each line, or a JSON object with ``task_id`` or ``prompt``, whose other keys are not read.

    The first line that is not blank tells which of the two the file is. Blank lines and a byte order mark are passed over.
    Raises UsageError where the file cannot be read, names nothing, or a line of it is neither; the sentence begins with
    ``asked_by``.
    """
    named = f"{asked_by} {file}"
    try:
        lines = file.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    except OSError as error:
        raise UsageError(f"{named}: it cannot be read: {error.strerror}.") from None
    given = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not given:
        raise UsageError(f"{named}: it names no task; write a task_id on each line, or JSON objects with task_id or prompt.")
    parse = _object if given[0][1].startswith(b"{") else _task
    return Holdout(file, tuple(_rows(named, given, parse)))


def _rows(named: str, given: list[tuple[int, bytes]], parse: Any) -> Iterator[Reserved]:
    for number, line in given:
        try:
            yield Reserved(number, *parse(line))
        except ValueError as error:
            problem = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
            raise UsageError(f"{named}, line {number}: {problem}.") from None


def _task(line: bytes) -> tuple[str, None]:
    return line.decode(), None


def _object(line: bytes) -> tuple[str | None, str | None]:
    """Return the task and the prompt that a line names. Raises ValueError with the end of a sentence."""
    found = from_json(line, allow_inf_nan=False, catch_duplicate_keys=True)
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object, as the first line is")  # noqa: TRY004 - it is the end of a sentence
    task_id, prompt = (found.get(key) for key in ("task_id", "prompt"))
    for key, value in (("task_id", task_id), ("prompt", prompt)):
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise ValueError(f"{key} is not a text that can be seen")
    if task_id is None and prompt is None:
        raise ValueError("it has neither task_id nor prompt")
    return task_id, prompt
