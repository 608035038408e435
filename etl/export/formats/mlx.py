"""MLX-LM: a folder with train.jsonl, valid.jsonl and test.jsonl; ``tools`` is a list, as it refuses a text."""

from collections.abc import Iterator
from typing import ClassVar

from etl.export.formats.format import Format, LeftOut, Line, Row
from etl.export.formats.rows import as_objects, calls_tools, conversation_of, tools_of

#: The files of the sides of a split.
FILES = {"train": "train.jsonl", "validation": "valid.jsonl", "test": "test.jsonl"}


class Mlx(Format):
    """A line has ``messages``; it reads no preferences."""

    datasets: ClassVar = {"sft": ("sft",)}

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:  # noqa: ARG002
        """Yield a line for each row."""
        messages, tools = conversation_of(row), tools_of(row)
        content = {"messages": as_objects(messages)} | ({} if tools is None else {"tools": tools})
        yield Line(FILES[row["split"]], content, calls_tools(messages))
