"""The shape of OpenAI's fine-tuning files, which Together, Fireworks, Azure and open trainers take: arguments are JSON text."""

from collections.abc import Iterator
from typing import ClassVar

from etl.export.formats.format import Format, LeftOut, Line, Object, Row
from etl.export.formats.rows import as_objects, calls_tools, conversation_of, sides_of, tools_of


class OpenAI(Format):
    """A chat line has ``messages``, a preference line ``input`` and two outputs, each one message of the assistant's."""

    datasets: ClassVar = {"sft": ("sft",), "preference": ("preference",)}
    most_bytes: ClassVar = 512 * 1000 * 1000

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:  # noqa: ARG002
        """Yield a line for each row; a pair whose answers are not one text each is left out."""
        file = f"{dataset}/{row['split']}.jsonl"
        if dataset == "sft":
            messages = conversation_of(row)
            yield Line(file, {"messages": as_objects(messages, arguments_are_text=True)} | _tools(row), calls_tools(messages))
            return
        prompt, *answers = sides_of(row)
        if any(len(answer) != 1 or answer[0].tool_calls for answer in answers):
            yield LeftOut(file, "answer_is_not_one_text")
            return
        asked = {"messages": as_objects(prompt, arguments_are_text=True)} | _tools(row)
        chosen, rejected = (as_objects(answer, arguments_are_text=True) for answer in answers)
        yield Line(file, {"input": asked, "preferred_output": chosen, "non_preferred_output": rejected}, calls_tools(prompt))


def _tools(row: Row) -> Object:
    tools = tools_of(row)
    return {} if tools is None else {"tools": tools, "parallel_tool_calls": True}
