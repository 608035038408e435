"""Conversations for the polars peer, which has no words for JSON of many shapes: what datasets hold, and what is compared.

Texts of messages are left to polars, which normalises many at once.
"""

import re
import unicodedata
from typing import Any

import msgspec

Message = dict[str, Any]

#: White space beyond ASCII, and control characters of ASCII; others that are left out are looked up one by one.
_WHITE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Co"}


def normalised(text: str) -> str:
    """Return a text as texts are compared; the methods of texts are faster than regular expressions."""
    if not text.isprintable():
        for white in "\n\t\r\v\f":
            text = text.replace(white, " ")
        if not text.isprintable():
            text = _CONTROLS.sub("", text)
        if not text.isprintable():
            text = "".join(one for one in _WHITE.sub(" ", text) if not _is_hidden(one))
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(filter(None, text.split(" "))) if "  " in text else text.strip(" ")


def as_json(value: object) -> str:
    """Return a value as JSON text in normal form."""
    return msgspec.json.encode(value).decode()


def _is_visible(text: str) -> bool:
    """Return whether a text is not blank. Most begin with what is seen."""
    return bool(normalised(text[:40]) or normalised(text))


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


def _calls(messages: list[Message]) -> str:
    """Return a text that is equal for messages with the same roles and calls."""
    return as_json(
        [
            (
                said["role"],
                [
                    (call["function"]["name"], _comparable_value(call["function"]["arguments"]))
                    for call in said.get("tool_calls", ())
                ],
            )
            for said in messages
        ]
    )


class Talk(msgspec.Struct):
    """What a line says of a conversation."""

    messages: list[Message]
    tools: list[Any] | None = None


_READER = msgspec.json.Decoder(Talk)


def talk_of(line: str) -> dict[str, Any]:
    """Return what the record of a line with messages holds and is compared by."""
    talk = _READER.decode(line)
    messages = talk.messages
    roles = [said["role"] for said in messages]
    answered = roles.index("assistant", roles.index("user") if "user" in roles else 0)
    ended = len(roles) - roles[::-1].index("assistant")
    asked, answer = messages[:answered], messages[answered:ended]
    own = [said for said in answer if said["role"] == "assistant"]
    visible = [said["content"] for said in own if _is_visible(said["content"])]
    prompts = [said["content"] for said in asked if said["role"] == "user"]
    arguments = [call["function"]["arguments"] for said in own for call in said.get("tool_calls", ())]
    is_one_prompt = roles[:answered] == ["user"]
    prompt_messages = as_json(asked)
    return {
        "said_prompt": prompts[-1] if prompts else None,
        "said_response": visible[-1] if visible else None,
        "prompt_messages": prompt_messages,
        "answer_messages": as_json(answer),
        "tools": as_json(talk.tools) if talk.tools else None,
        "asked_exactly": asked[0]["content"] if is_one_prompt and len(asked[0]) == 2 else "\x1e" + prompt_messages,
        "is_one_prompt": is_one_prompt,
        "is_one_answer": len(answer) == 1 and "tool_calls" not in answer[0],
        "asked_calls": _calls(asked),
        "answer_calls": _calls(answer),
        "asked_texts": [said["content"] for said in asked],
        "answer_texts": [said["content"] for said in answer],
        "is_answer_empty": not visible and not any("tool_calls" in said for said in own),
        "has_unparsed_call": any([*given] == ["unparsed"] and isinstance(given["unparsed"], str) for given in arguments),
    }
