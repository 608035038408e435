"""verl: Parquet with conversations as lists of structs, and arguments of calls as JSON text, so that no key comes to a call."""

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from etl.export.formats.format import Format, LeftOut, Line, Row
from etl.export.formats.rows import as_objects, conversation_of

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


class Verl(Format):
    """SFT has ``messages``. A struct has a key for each that any row has, so tools stand beside them as JSON text.

    verl reads no column of the name ``tool_definitions``; as ``tools`` it would take a struct, and train on keys that no tool
    has.
    """

    datasets: ClassVar = {"sft": ("sft",)}

    def schema(self, dataset: str, published: pa.Schema | None) -> pa.Schema:  # noqa: ARG002
        """Return the columns of the files."""
        return SFT

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:  # noqa: ARG002
        """Yield a line for each row."""
        messages = as_objects(conversation_of(row), arguments_are_text=True)
        yield Line(f"{dataset}/{row['split']}.parquet", {"messages": messages, "tool_definitions": row["tools"]})
