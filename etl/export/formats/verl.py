"""verl: Parquet with conversations as lists of structs, and arguments of calls as JSON text, so that no key comes to a call."""

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from etl.export.formats.format import PROMPT, Format, LeftOut, Line, Row
from etl.export.formats.rows import as_objects, calls_tools, conversation_of, messages_of

FUNCTION = pa.struct([("name", pa.string()), ("arguments", pa.string())])
CALL = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", FUNCTION)])
MESSAGE = pa.struct(
    [
        ("role", pa.string()),
        ("content", pa.string()),
        ("tool_calls", pa.list_(CALL)),
        ("tool_call_id", pa.string()),
        ("name", pa.string()),
    ]
)

SFT = pa.schema([("messages", pa.list_(MESSAGE)), ("tool_definitions", pa.string())])


#: What it hands to a reward function beside the ground truth.
_EXTRA = [("task_id", pa.string()), ("answers", pa.list_(pa.string()))]

#: The columns of prompts. verl looks a reward function up by ``data_source``, and hands it the ``ground_truth``.
RL = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        ("extra_info", pa.struct([("index", pa.int64()), ("split", pa.string()), *_EXTRA])),
    ]
)


class Verl(Format):
    """SFT has ``messages``. A struct has a key for each that any row has, so tools stand beside them as JSON text.

    verl reads no column of the name ``tool_definitions``; as ``tools`` it would take a struct, and train on keys that no tool
    has. RL has the prompts that have an accepted answer, of which the first is the ``ground_truth``.
    """

    datasets: ClassVar = {"sft": ("sft",), "rl": (PROMPT,)}

    def __init__(self) -> None:
        self._prompts = 0

    def schema(self, dataset: str, published: pa.Schema | None) -> pa.Schema:  # noqa: ARG002
        """Return the columns of the files."""
        return {"sft": SFT, "rl": RL}[dataset]

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:  # noqa: ARG002
        """Yield a line for each row; a prompt without an accepted answer, or with calls of tools in it, is left out."""
        file = f"{dataset}/{row['split']}.parquet"
        if dataset == "sft":
            messages = as_objects(conversation_of(row), arguments_are_text=True)
            yield Line(file, {"messages": messages, "tool_definitions": row["tools"]})
            return
        asked = messages_of(row["prompt_messages"])
        if not row["answers"]:
            yield LeftOut(file, "no_accepted_answer")
        elif calls_tools(asked):
            yield LeftOut(file, "calls_in_prompt")
        else:
            self._prompts += 1
            yield Line(
                file,
                {
                    "data_source": "evidence",
                    "prompt": [{"role": message.role, "content": message.content} for message in asked],
                    "ability": "agent",
                    "reward_model": {"style": "rule", "ground_truth": row["answers"][0]},
                    "extra_info": {"index": self._prompts, **{name: row[name] for name in ("split", "task_id", "answers")}},
                },
            )
