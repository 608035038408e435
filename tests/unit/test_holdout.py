"""The hold-out: a task on each line, or JSON Lines, as benchmarks are published."""

from pathlib import Path

import pytest

from etl.base.errors import UsageError
from etl.ingest.holdout import read_holdout


def rows_in(folder: Path, content: bytes) -> list[tuple[int, str | None, str | None]]:
    """Return the rows that a hold-out with this content gives."""
    file = folder / "holdout"
    file.write_bytes(content)
    return [tuple(row) for row in read_holdout(file).rows]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"task-1\ntask-2\n", [(1, "task-1", None), (2, "task-2", None)]),
        (b"\xef\xbb\xbfretail/7\r\n\r\n  \n airline/9 \r\n", [(1, "retail/7", None), (4, "airline/9", None)]),
        (b"a\na\n", [(1, "a", None), (2, "a", None)]),
        (b'\n{"task_id": "a"}\n{"prompt": "Fix it.", "answer": 4}\n', [(2, "a", None), (3, None, "Fix it.")]),
        (b'{"task_id": "a", "prompt": "Fix it."}', [(1, "a", "Fix it.")]),
        (b'{"task_id": null, "prompt": "x"}', [(1, None, "x")]),
        ("é\n".encode(), [(1, "é", None)]),
    ],
)
def test_lines_name_tasks_or_prompts(tmp_path: Path, content: bytes, rows: list[tuple[int, str | None, str | None]]) -> None:
    """The first line that is not blank tells which of the two a file is."""
    assert rows_in(tmp_path, content) == rows


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", ": it names no task; write a task_id on each line"),
        (b"\n \r\n", ": it names no task; "),
        (b"\xff\n", ", line 1: it is not UTF-8"),
        (b'{"task_id": "a"}\ntask-2\n', ", line 2: "),
        (b'{"task_id": 7}', ", line 1: task_id is not a text that can be seen"),
        (b'{"prompt": " "}', ", line 1: prompt is not a text that can be seen"),
        (b'{"task": "a"}', ", line 1: it has neither task_id nor prompt"),
        (b'{"task_id": "a", "task_id": "b"}', ", line 1: "),
        (b'{"task_id": "a"}\n["b"]', ", line 2: it is not a JSON object, as the first line is"),
    ],
)
def test_a_line_that_names_nothing_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    """A hold-out that is not what it seems would reserve nothing."""
    with pytest.raises(UsageError) as raised:
        rows_in(tmp_path, content)
    assert str(raised.value).startswith(f"--holdout {tmp_path / 'holdout'}{problem}")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The sentence begins with what asked for it."""
    with pytest.raises(UsageError, match=r"^etl.toml:1 names .*absent: it cannot be read: No such file"):
        read_holdout(tmp_path / "absent", "etl.toml:1 names")


def test_the_hash_is_of_what_the_lines_name(tmp_path: Path) -> None:
    """Another end of a line is the same hold-out; another task, or the same as a prompt, is another."""
    hashes = []
    for content in (b"a\nb\n", b"a\r\nb", b"a\nc\n", b'{"task_id":"a"}\n{"prompt":"b"}'):
        (tmp_path / "holdout").write_bytes(content)
        hashes.append(read_holdout(tmp_path / "holdout").sha256())
    assert hashes[0] == hashes[1]
    assert len({*hashes}) == 3
