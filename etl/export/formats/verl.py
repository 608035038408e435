"""verl: Parquet with conversations as lists of structs, and arguments of calls as JSON text, so that no call gains a key."""

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from etl.export.formats.format import PROMPT, Format, LeftOut, Line, Object, Row
from etl.export.formats.rows import Message, as_objects, calls_tools, conversation_of, messages_of

_TEXT = pa.struct([("role", pa.string()), ("content", pa.string())])
_FUNCTION = pa.struct([("name", pa.string()), ("arguments", pa.string())])
_CALL = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", _FUNCTION)])
_WITH_CALLS = pa.struct([*_TEXT, ("tool_calls", pa.list_(_CALL)), ("tool_call_id", pa.string()), ("name", pa.string())])

#: What it hands to a reward function beside the ground truth.
_EXTRA = [("task_id", pa.string()), ("answers", pa.list_(pa.string()))]

#: The columns of each dataset. verl looks a reward function up by ``data_source``, and hands it the ``ground_truth``.
SCHEMAS = {
    "sft": pa.schema([("messages", pa.list_(_TEXT))]),
    "sft_calls": pa.schema([("messages", pa.list_(_WITH_CALLS)), ("tool_definitions", pa.string())]),
    "rl": pa.schema(
        [
            ("data_source", pa.string()),
            ("prompt", pa.list_(_TEXT)),
            ("ability", pa.string()),
            ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
            ("extra_info", pa.struct([("index", pa.int64()), ("split", pa.string()), *_EXTRA])),
        ]
    ),
}


class Verl(Format):
    """SFT has ``messages``, RL the prompts that have an accepted answer, of which the first is the ``ground_truth``.

    A struct has a key for each that any row has, and most templates fail on a call that is null. So conversations with calls
    have files of their own, ``sft_calls``. There tools stand as JSON text in ``tool_definitions``, which verl does not read: as
    ``tools`` it would take structs, and train on keys that no tool has.
    """

    datasets: ClassVar = {"sft": ("sft",), "sft_calls": ("sft",), "rl": (PROMPT,)}

    def __init__(self) -> None:
        self._prompts = 0

    def schema(self, dataset: str, published: pa.Schema | None) -> pa.Schema:  # noqa: ARG002
        """Return the columns of the files."""
        return SCHEMAS[dataset]

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:  # noqa: ARG002
        """Yield a line for each row; a prompt without an accepted answer, or with calls of tools in it, is left out."""
        file = f"{dataset}/{row['split']}.parquet"
        if dataset == "rl":
            yield self._prompt(file, row)
            return
        messages = conversation_of(row)
        has_calls = any(message.role == "tool" or message.tool_calls for message in messages)
        if has_calls != (dataset == "sft_calls"):
            yield LeftOut(file, "calls_of_tools" if has_calls else "no_calls_of_tools")
        elif has_calls:
            content = {"messages": as_objects(messages, arguments_are_text=True), "tool_definitions": row["tools"]}
            yield Line(file, content, calls=True)
        else:
            yield Line(file, {"messages": _texts(messages)})

    def _prompt(self, file: str, row: Row) -> Line | LeftOut:
        """Return the line of a prompt."""
        asked = messages_of(row["prompt_messages"])
        if not row["answers"]:
            return LeftOut(file, "no_accepted_answer")
        if calls_tools(asked):
            return LeftOut(file, "calls_in_prompt")
        self._prompts += 1
        told = {name: row[name] for name in ("split", "task_id", "answers")}
        content = {
            "data_source": "evidence",
            "prompt": _texts(asked),
            "ability": "agent",
            "reward_model": {"style": "rule", "ground_truth": row["answers"][0]},
            "extra_info": {"index": self._prompts, **told},
        }
        return Line(file, content)


def _texts(messages: list[Message]) -> list[Object]:
    return [{"role": message.role, "content": message.content} for message in messages]
