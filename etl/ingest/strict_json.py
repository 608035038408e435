"""Lines of evidence, judged strictly: RFC 8259, one object, no key twice, not too deep.

The fast parser passes the ordinary line; only what it refuses is looked at again, with the standard library.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import simdjson

BLANKS = b" \t\r"


class Refusal(NamedTuple):
    """Why a line is no evidence; ``reason`` is a reason of ``evidence.skipped``."""

    reason: str
    detail: str


def is_blank(line: bytes) -> bool:
    """Tell whether a line holds only spaces, tabs and carriage returns."""
    return not line or (line[0] in BLANKS and not line.strip(BLANKS))


def judge_all(lines: Sequence[bytes], max_depth: int) -> dict[int, Refusal | None]:
    """Return why lines are refused, by their places; None is a blank line. One that is not named is one JSON object.

    It says of each line what :func:`judge` does; an ordinary one costs it no call, for there are millions.
    """
    parse = _PARSER.parse
    set_aside: dict[int, Refusal | None] = {}
    for place, line in enumerate(lines):
        # to look for a second bracket is many times as fast as to count them
        arrays = 1 if line.find(b"[", line.find(b"[") + 1) < 0 else line.count(b"[")
        if arrays < max_depth and line.startswith(b"{") and line.find(b"{", 1) < 0:
            try:
                value = parse(line)
            except (ValueError, RuntimeError):
                pass
            else:
                is_plain = isinstance(value, simdjson.Object) and len(set(value)) == len(value)
                del value
                if is_plain:
                    continue
        if is_blank(line):
            set_aside[place] = None
        elif refusal := judge(line, max_depth):
            set_aside[place] = refusal
    return set_aside


def judge(line: bytes, max_depth: int) -> Refusal | None:
    """Return why a line that is not blank is refused, or None if it is one JSON object.

    The reasons, the first that applies: invalid_utf8, too_deep, malformed_json, duplicate_key, not_an_object.
    """
    if line.count(b"{") + line.count(b"[") > max_depth and depth_of(line) > max_depth:
        return _bad_encoding(line) or Refusal("too_deep", f"more than {max_depth} brackets are open at once")
    return None if _is_plain(line) else _second_opinion(line)


def _is_plain(line: bytes) -> bool:
    """Tell whether a line is surely an object without a fault; False says that it must be looked at closely.

    The fast parser would skip a byte order mark, and refuses some numbers that RFC 8259 allows.
    """
    try:
        value = _PARSER.parse(line)
    except (ValueError, RuntimeError):
        return False
    if not isinstance(value, simdjson.Object) or line[0] == _FIRST_OF_BOM:
        return False
    return _places_for_keys(line) == _keys_in(value.as_dict())


#: Holds the line that it parsed last; nothing of it may be alive when it parses the next.
_PARSER = simdjson.Parser()
_FIRST_OF_BOM = 0xEF


def _places_for_keys(line: bytes) -> int:
    """Return how many keys a line may hold at the most: a key is followed by a colon, perhaps after a blank."""
    places = line.count(b'":') + line.count(b" :")
    if b"\t" in line or b"\r" in line:
        places += line.count(b"\t:") + line.count(b"\r:")
    return places


def _keys_in(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum(_keys_in(part) for part in value.values() if type(part) in (dict, list))
    if type(value) is list:
        return sum(_keys_in(part) for part in value if type(part) in (dict, list))
    return 0


def depth_of(line: bytes) -> int:
    """Return how many brackets are open at once, at the most, outside strings."""
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_STRING.sub(b"", line)):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth = max(depth - 1, 0)
    return deepest


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


def _bad_encoding(line: bytes) -> Refusal | None:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return Refusal("invalid_utf8", f"byte {error.start + 1}: {error.reason}")
    return None


def _second_opinion(line: bytes) -> Refusal | None:
    """Judge a line that did not pass at once."""
    refusal = _bad_encoding(line)
    if refusal:
        return refusal
    try:
        value, repeated = _strict(line.decode())
    except json.JSONDecodeError as error:
        return Refusal("malformed_json", f"column {error.pos + 1}: {error.msg}")
    except ValueError as error:
        return Refusal("malformed_json", str(error))
    if repeated is not None:
        return _duplicate(repeated)
    return None if isinstance(value, dict) else _not_an_object(value)


def _strict(text: str) -> tuple[Any, str | None]:
    """Parse as RFC 8259 says and return the value and the first key that is repeated in one object.

    Numbers stay text: how large they are is the column's business. Raises ValueError for what is no JSON.
    """
    repeated: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(items)
        if len(keys) < len(items):
            seen: set[str] = set()
            repeated.extend(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return keys

    def constant(word: str) -> Any:
        raise ValueError(f"{word} is no JSON")

    value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_int=str, parse_float=str)
    if _has_half_a_pair(text):
        raise ValueError("an escape is half of a surrogate pair")
    return value, repeated[0] if repeated else None


_FIRST_HALVES = range(0xD800, 0xDC00)
_SECOND_HALVES = range(0xDC00, 0xE000)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def _has_half_a_pair(text: str) -> bool:
    """Tell whether an escape (u and four digits) of valid JSON is a surrogate without its other half: no UTF-8 can hold it."""
    second_half_at = -1
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else 0
        is_second_half = code in _SECOND_HALVES
        if is_second_half != (escape.start() == second_half_at):
            return True
        if second_half_at not in (-1, escape.start()):
            return True
        second_half_at = escape.end() if code in _FIRST_HALVES else -1
    return second_half_at != -1


def _duplicate(key: str) -> Refusal:
    return Refusal("duplicate_key", f"{json.dumps(key)} stands twice in one object")


def _not_an_object(value: Any) -> Refusal:
    names = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return Refusal("not_an_object", f"the line is {names.get(type(value), 'a number')}")
