"""TRL: conversational SFT, preference and KTO files, with the arguments of calls as objects, as chat templates take them."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import ClassVar

import pyarrow as pa

from etl.export.formats.cards.front_matter import configs_of, front_matter
from etl.export.formats.format import PROMPT, Format, LeftOut, Line, Object, Origin, Piece, Row
from etl.export.formats.rows import (
    Message,
    as_objects,
    as_text,
    calls_tools,
    conversation_of,
    has_huge_number,
    messages_of,
    sides_of,
)

_JSON = pa.list_(pa.json_())

#: The columns of each dataset, as the dataset card declares them. Without them, ``datasets`` takes the types of the first rows
#: for those of all: where these call no tool, it cannot read those that do.
SCHEMAS = {
    name: pa.schema([*columns, ("tools", pa.string())])
    for name, columns in {
        "sft": [("messages", _JSON)],
        "preference": [("prompt", _JSON), ("chosen", _JSON), ("rejected", _JSON)],
        "kto": [("prompt", _JSON), ("completion", _JSON), ("label", pa.bool_())],
        "grpo": [("prompt", _JSON), ("task_id", pa.string()), ("answers", pa.list_(pa.string()))],
    }.items()
}


class Trl(Format):
    """SFT has ``messages``, preference ``prompt``, ``chosen`` and ``rejected``, KTO ``prompt``, ``completion`` and ``label``.

    GRPO has ``prompt`` and, for a reward function, ``task_id``, accepted ``answers`` and ``tools``. ``tools`` is
    the JSON text of a list, which TRL parses, as columns of a file have one type.
    """

    datasets: ClassVar = {"sft": ("sft",), "preference": ("preference",), "kto": ("sft", "preference"), "grpo": (PROMPT,)}
    sees_all: ClassVar = True
    ending: ClassVar[str] = ".jsonl"

    def __init__(self) -> None:
        #: Whether a content is good, bad or both; and those of which a line was written.
        self._labels: dict[bytes, set[bool]] = {}
        self._written: set[bytes] = set()

    def see(self, published: str, row: Row) -> None:
        """Note which labels a content has."""
        for prompt, answer, label in _judged(published, row):
            self._labels.setdefault(_content(prompt, answer, row), set()).add(label)

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:
        """Yield a line for each row; of KTO one for each content that has one label. What no reader can hold is left out."""
        file = f"{dataset}/{row['split']}{self.ending}"
        tools = {} if row["tools"] is None else {"tools": row["tools"]}
        for texts, content in self._contents(dataset, published, row):
            if isinstance(content, str):
                yield LeftOut(file, content)
            elif any(map(has_huge_number, texts)):
                yield LeftOut(file, "huge_number")
            else:
                yield Line(file, content | tools, any(map(calls_tools, texts)))

    def _contents(self, dataset: str, published: str, row: Row) -> Iterator[tuple[list[list[Message]], Object | str]]:
        """Yield the messages of each line that a row gives, and the line but for tools; or why there is none."""
        if dataset == "sft":
            messages = conversation_of(row)
            yield [messages], {"messages": as_objects(messages)}
        elif dataset == "preference":
            sides = [*sides_of(row)]
            yield sides, dict(zip(("prompt", "chosen", "rejected"), map(as_objects, sides), strict=True))
        elif dataset == "grpo":
            asked = messages_of(row["prompt_messages"])
            yield [asked], {"prompt": as_objects(asked), "task_id": row["task_id"], "answers": row["answers"]}
        else:
            for prompt, answer, label in _judged(published, row):
                key = _content(prompt, answer, row)
                content: Object = {"prompt": as_objects(prompt), "completion": as_objects(answer), "label": label}
                is_clear, is_new = len(self._labels[key]) == 1, key not in self._written
                yield [prompt, answer], content if is_clear and is_new else "both_labels" if is_new else "repeated_content"
                self._written.add(key)

    def others(self, pieces: list[Piece], origin: Origin) -> Mapping[str, str]:  # noqa: ARG002
        """Return the card by which ``datasets.load_dataset`` reads the folder: each dataset is a configuration."""
        configs = configs_of(pieces)
        return {"README.md": front_matter(configs, SCHEMAS)} if configs else {}


class TrlParquet(Trl):
    """The same as Parquet: messages have the type ``arrow.json``, so that no message gains a key that it did not have.

    Only ``datasets`` 4.8 and newer read this type.
    """

    ending: ClassVar = ".parquet"

    def schema(self, dataset: str, published: pa.Schema | None) -> pa.Schema:  # noqa: ARG002
        """Return the columns that the card declares."""
        return SCHEMAS[dataset]

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:
        """Yield the same lines, with each message as JSON text, which is how the type is stored."""
        messages = {column.name for column in SCHEMAS[dataset] if column.type == _JSON}
        for line in super().lines(dataset, published, row):
            if isinstance(line, Line):
                values = line.content.items()
                texts = {name: [*map(as_text, value)] if name in messages else value for name, value in values}
                yield line._replace(content=texts)
            else:
                yield line


def _judged(dataset: str, row: Row) -> Iterator[tuple[list[Message], list[Message], bool]]:
    """Yield each prompt and answer of a row, and whether the answer is good."""
    if dataset == "sft":
        yield (*_divided(conversation_of(row)), True)
    elif dataset == "preference":
        prompt, chosen, rejected = sides_of(row)
        yield prompt, chosen, True
        yield prompt, rejected, False


def _divided(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """Return a conversation as its prompt and its answer, which begins with the assistant's first message after a user's."""
    roles = [message.role for message in messages]
    first_asked = roles.index("user") if "user" in roles else 0
    end = roles.index("assistant", first_asked) if "assistant" in roles[first_asked:] else roles.index("assistant")
    return messages[:end], messages[end:]


def _content(prompt: list[Message], answer: list[Message], row: Row) -> bytes:
    return sha256(as_text([as_objects(prompt), as_objects(answer), row["tools"]]).encode()).digest()
