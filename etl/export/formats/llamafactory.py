"""LLaMA-Factory: conversations in the sharegpt form, and dataset_info.json, which names the files and their columns."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from etl.export.formats.format import Format, LeftOut, Line, Object, Origin, Piece, Row
from etl.export.formats.rows import Message, as_text, calls_tools, conversation_of, sides_of, tools_of

#: Who speaks. A system message in the middle is nobody's turn, so that turns do not alternate there.
_FROM = {"user": "human", "system": "system"}

#: The columns of a file, by the trainer's names.
_SFT = {"messages": "conversations", "system": "system", "tools": "tools"}
_RANKING = {**_SFT, "chosen": "chosen", "rejected": "rejected"}


class LlamaFactory(Format):
    """Turns must alternate: what the user and the tools say at odd places, what the assistant says and calls at even ones."""

    datasets: ClassVar = {"sft": ("sft",), "preference": ("preference",)}

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:  # noqa: ARG002
        """Yield a line for each row whose turns alternate; the trainer would pass over any other."""
        file = f"{dataset}_{row['split']}.jsonl"
        spoken = [*sides_of(row)] if dataset == "preference" else [conversation_of(row)]
        system, turns = _turns(spoken[0])
        ends = [_turns(answer)[1] for answer in spoken[1:]]
        is_even = len(turns) % 2 == 0
        if any(message.tool_calls and message.content for messages in spoken for message in messages):
            yield LeftOut(file, "text_beside_calls")
        elif not _alternate(turns) or is_even != (dataset == "sft"):
            yield LeftOut(file, "turns_do_not_alternate")
        elif any(len(end) != 1 or end[0]["from"] not in ("gpt", "function_call") for end in ends):
            yield LeftOut(file, "answer_is_not_one_message")
        else:
            tools = tools_of(row)
            content: Object = {"conversations": turns, "system": system, "tools": "" if tools is None else as_text(tools)}
            content |= dict(zip(("chosen", "rejected"), (end[0] for end in ends), strict=False))
            yield Line(file, content, calls_tools(spoken[0]))

    def others(self, pieces: list[Piece], origin: Origin) -> Mapping[str, str]:  # noqa: ARG002
        """Return the entry of each file that has lines."""
        entries = {}
        for file in sorted(piece.path for piece in pieces):
            is_ranking = file.startswith("preference")
            entry = {"file_name": file, "formatting": "sharegpt", "columns": _RANKING if is_ranking else _SFT}
            entries[file.removesuffix(".jsonl")] = entry | ({"ranking": True} if is_ranking else {})
        return {"dataset_info.json": as_text(entries) + "\n"}


def _turns(messages: list[Message]) -> tuple[str, list[Object]]:
    """Return the system prompt with which messages begin, and the turns: results of one turn of calls are one observation."""
    first = next((place for place, message in enumerate(messages) if message.role != "system"), len(messages))
    system = "\n".join(message.content for message in messages[:first])
    turns: list[Object] = []
    results: list[str] = []
    for message in messages[first:]:
        if message.role == "tool":
            results.append(message.content)
            continue
        if results:
            turns.append(_observation(results))
            results = []
        turns.append(_said(message) if message.role == "assistant" else {"from": _FROM[message.role], "value": message.content})
    return system, [*turns, *([_observation(results)] if results else [])]


def _observation(results: list[str]) -> Object:
    return {"from": "observation", "value": results[0] if len(results) == 1 else as_text(results)}


def _said(message: Message) -> Object:
    """Return what the assistant said, or called: then as JSON text of a call, or of a list of calls."""
    if not message.tool_calls:
        return {"from": "gpt", "value": message.content}
    calls = [{"name": call.function.name, "arguments": call.function.arguments} for call in message.tool_calls]
    return {"from": "function_call", "value": as_text(calls[0] if len(calls) == 1 else calls)}


def _alternate(turns: list[Object]) -> bool:
    sides = (("human", "observation"), ("gpt", "function_call"))
    return all(turn["from"] in sides[place % 2] for place, turn in enumerate(turns))
