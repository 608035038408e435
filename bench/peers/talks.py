"""Conversations for the polars peer, which has no words for JSON of many shapes: what datasets hold of one, and what is compared."""

import json
import re
import unicodedata
from typing import Any

Message = dict[str, Any]

#: Whether a text may differ from its normal form, beside spaces at its ends.
_ODD = re.compile(r"[^ -~]|  ")
_SPACES = re.compile("  +")


class _Characters(dict[int, str | None]):
    """What stands for a character in normal form, looked up once: a space, nothing, or itself."""

    def __missing__(self, code: int) -> str | None:
        kind = unicodedata.category(chr(code))
        is_white = kind.startswith("Z") or 9 <= code <= 13 or code == 0x85
        self[code] = " " if is_white else None if kind in {"Cc", "Cf", "Co"} else chr(code)
        return self[code]


_CHARACTERS = _Characters()


def normalised(text: str) -> str:
    """Return a text as texts are compared."""
    if _ODD.search(text):
        text = _SPACES.sub(" ", unicodedata.normalize("NFC", text.translate(_CHARACTERS)))
    return text.strip(" ")


def as_json(value: object) -> str:
    """Return a value as JSON text in normal form."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _comparable_value(value: Any) -> Any:
    """Return a value among the arguments of a call, its strings as texts are compared."""
    match value:
        case str():
            return normalised(value)
        case list():
            return [_comparable_value(one) for one in value]
        case dict():
            return {name: _comparable_value(one) for name, one in value.items()}
    return value


def _comparable(messages: list[Message], texts: list[str]) -> str:
    """Return a text that is equal for messages that are; of one text alone none that a normal text can be."""
    calls = [
        [(call["function"]["name"], as_json(_comparable_value(call["function"]["arguments"]))) for call in said.get("tool_calls", ())]
        for said in messages
    ]
    return "\x1e".join([*(f"{said['role']}{made}" for said, made in zip(messages, calls, strict=True)), *texts])


def talk_of(line: str) -> dict[str, Any]:
    """Return what the record of a line with messages holds and is compared by."""
    record = json.loads(line)
    messages = record["messages"]
    roles = [said["role"] for said in messages]
    answered = roles.index("assistant", roles.index("user") if "user" in roles else 0)
    ended = len(roles) - roles[::-1].index("assistant")
    asked, answer = messages[:answered], messages[answered:ended]
    asked_texts, texts = ([normalised(said["content"]) for said in part] for part in (asked, answer))
    own = [said for said in answer if said["role"] == "assistant"]
    visible = [said["content"] for said in own if normalised(said["content"])]
    prompts = [said["content"] for said in asked if said["role"] == "user"]
    is_one_prompt = roles[:answered] == ["user"]
    is_one_answer = len(answer) == 1 and "tool_calls" not in answer[0]
    return {
        "said_prompt": prompts[-1] if prompts else None,
        "said_response": visible[-1] if visible else None,
        "prompt_messages": as_json(asked),
        "answer_messages": as_json(answer),
        "tools": as_json(record["tools"]) if record.get("tools") else None,
        "asked_exactly": asked[0]["content"] if is_one_prompt and len(asked[0]) == 2 else "\x1e" + as_json(asked),
        "asked": asked_texts[0] if is_one_prompt and is_one_answer else _comparable(asked, asked_texts),
        "answer": texts[0] if is_one_answer else _comparable(answer, texts),
        "answer_length": sum(map(len, texts)),
        "is_answer_empty": not visible and not any("tool_calls" in said for said in own),
        "has_unparsed_call": any(
            [*arguments] == ["unparsed"] and isinstance(arguments["unparsed"], str)
            for said in own
            for arguments in (call["function"]["arguments"] for call in said.get("tool_calls", ()))
        ),
    }
