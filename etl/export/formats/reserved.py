"""The tasks that are held out, with their accepted answers, for evaluation alone."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from etl.export.formats.format import PROMPT, Format, LeftOut, Line, Origin, Piece, Row
from etl.export.formats.rows import as_objects, calls_tools, messages_of, tools_of

README = """\
These prompts and answers are held out for evaluation. Their tasks, and all that share prompts with them, are in no dataset.
Do not train on them.
"""


class Reserved(Format):
    """A line has ``task_id``, ``prompt``, ``prompt_messages``, ``tools`` and accepted ``answers``."""

    datasets: ClassVar = {"reserved": (PROMPT,)}
    is_for_evaluation: ClassVar = True

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:  # noqa: ARG002
        """Yield a line for each prompt."""
        asked = messages_of(row["prompt_messages"])
        content = {name: row[name] for name in ("task_id", "prompt", "answers")}
        content |= {"prompt_messages": as_objects(asked), "tools": tools_of(row)}
        yield Line("reserved.jsonl", content, calls_tools(asked))

    def others(self, pieces: list[Piece], origin: Origin) -> Mapping[str, str]:  # noqa: ARG002
        """Return the page that says what the files are for."""
        return {"README.md": README}
