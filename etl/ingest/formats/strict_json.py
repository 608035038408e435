"""Items of evidence, judged strictly: RFC 8259, one object, no key twice, not too deep, not too many values."""

import re
from codecs import utf_8_decode
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from jiter import from_json

#: A line is looked through in pieces of this many bytes: split as a whole, its parts could take many times its length.
PIECE_BYTES = 1 << 20

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NO_OPENINGS = _NO_BRACKETS + b"]}"
_REPEATED = "Detected duplicate key "
_NAMED = {b"\xef\xbb\xbf": "a byte order mark", b"NaN": "NaN is not JSON", b"Infinity": "Infinity is not JSON"}
_TYPES = {b"[": "an array", b'"': "a string", b"t": "true or false", b"f": "true or false", b"n": "null"}

#: What the parser says: what is wrong, and the line and the column of the last byte that it read.
_WHERE = re.compile(r"(?P<what>.*) at line (?P<line>\d+) column (?P<column>\d+)", re.DOTALL)

#: A string, also one that does not end, or a number that JSON does not have.
_NO_NUMBERS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|(?P<number>-?Infinity|NaN)', re.DOTALL)


class Refusal(NamedTuple):
    """Why an item, or a file as a whole, is not evidence; ``reason`` is a reason of ``evidence.skipped``."""

    reason: str
    detail: str


def is_blank(line: bytes) -> bool:
    """Return whether a line holds only spaces, tabs and carriage returns."""
    return not line.strip(b" \t\r")


def read_object(item: bytes, max_depth: int, max_values: int) -> dict[str, Any] | Refusal:
    """Return an item that is not blank as the JSON object that it is, or why it is refused.

    The reasons, the first that applies: invalid_utf8, too_large, too_deep, malformed_json, duplicate_key, not_an_object.
    ``max_values`` bounds the memory that the parser takes; it reads 200 brackets deep, so ``max_depth`` is 200 at the most.
    """
    value = _read(item, max_depth, max_values)
    if isinstance(value, dict | Refusal):
        return value
    start = item.lstrip(b" \t\r\n")[:1]
    return Refusal("not_an_object", f"the item is {_TYPES.get(start, 'a number')}")


def judge_value(text: bytes, max_depth: int, max_values: int, offset: int = 0) -> Refusal | None:
    """Return why a text is refused as ``read_object`` does, or None if it is one JSON value of any type.

    ``offset`` is how many bytes stand before it in its file: a byte that is named is counted from there.
    """
    value = _read(text, max_depth, max_values, offset)
    return value if isinstance(value, Refusal) else None


def _read(text: bytes, max_depth: int, max_values: int, offset: int = 0) -> Any:
    """Return the JSON value of a text, or why it is refused."""
    if len(text) > max_values and _values(text) > max_values and sum(map(_values, _unquoted(text))) > max_values:
        refusal = Refusal(
            "too_large", f"more than {max_values} commas and opening brackets outside strings (setting max_values)"
        )
    else:
        may_be_deeper = len(text.translate(None, _NO_OPENINGS)) > max_depth
        try:
            value = from_json(text, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True)
        except ValueError as error:
            is_deeper = may_be_deeper and _opens_deeper(text, max_depth)
            refusal = _too_deep(max_depth) if is_deeper else _fault(text, error, offset)
        else:
            if not may_be_deeper or not _nests_deeper(value, max_depth):
                return value
            refusal = _too_deep(max_depth)
    return _bad_encoding(text, offset) or refusal


def without_nan(text: bytes) -> tuple[bytes, int]:
    """Return a JSON text whose NaN, Infinity and -Infinity outside strings are null, and how many there were."""
    if b"NaN" not in text and b"Infinity" not in text:
        return text, 0
    numbers = [found for found in _NO_NUMBERS.finditer(text) if found["number"]]
    if not numbers:
        return text, 0
    starts = [0, *(found.end() for found in numbers)]
    ends = [*(found.start() for found in numbers), len(text)]
    return b"null".join(text[start:end] for start, end in zip(starts, ends, strict=True)), len(numbers)


def _values(text: bytes) -> int:
    """Return how many commas and opening brackets there are: one stands before each value of a line but the first."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _unquoted(text: bytes) -> Iterator[bytes]:
    """Yield what stands outside strings, piece by piece."""
    plain = text.replace(rb"\\", b"").replace(rb"\"", b"")
    is_inside = False
    for start in range(0, len(plain), PIECE_BYTES):
        parts = plain[start : start + PIECE_BYTES].split(b'"')
        yield b"".join(parts[is_inside::2])
        is_inside ^= len(parts) % 2 == 0


def _too_deep(max_depth: int) -> Refusal:
    return Refusal("too_deep", f"more than {max_depth} brackets are open at once (setting max_depth)")


def _nests_deeper(value: object, max_depth: int) -> bool:
    """Return whether objects and arrays of a value are nested deeper."""
    level: list[Any] = [[value]]
    for _ in range(max_depth + 1):
        members = chain.from_iterable(outer.values() if isinstance(outer, dict) else outer for outer in level)
        level = [inner for inner in members if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _opens_deeper(text: bytes, max_depth: int) -> bool:
    """Return whether so many brackets are open at once in a text that is not JSON."""
    depth = 0
    for piece in _unquoted(text):
        for bracket in piece.translate(None, _NO_BRACKETS):
            depth = depth + 1 if bracket in b"[{" else max(depth - 1, 0)
            if depth > max_depth:
                return True
    return False


def _fault(text: bytes, error: ValueError, offset: int) -> Refusal:
    """Return what is wrong with a text that the parser refused: a repeated key only if nothing worse comes after it."""
    what, byte = _place(text, error)
    if what.startswith(_REPEATED):
        try:
            from_json(text, allow_inf_nan=False, cache_mode="keys")
        except ValueError as worse:
            return _fault(text, worse, offset)
        return Refusal("duplicate_key", f"byte {offset + byte + 1}: the key of this value stands twice in one object")
    if what == "number out of range":
        return Refusal("too_large", f"byte {offset + byte}: a number has more than 4,300 digits")
    named = (name for word, name in _NAMED.items() if text.startswith(word, max(byte - 1, 0)))
    return Refusal("malformed_json", f"byte {offset + byte}: {next(named, what)}")


def _place(text: bytes, error: ValueError) -> tuple[str, int]:
    """Return what the parser says is wrong, and the number of the byte where it is, from 1 on."""
    found = _WHERE.fullmatch(str(error))
    if not found:
        return str(error), 1
    start = 0
    for _ in range(int(found["line"]) - 1):
        start = text.find(b"\n", start) + 1
    return found["what"], start + int(found["column"])


def _bad_encoding(text: bytes, offset: int) -> Refusal | None:
    done = 0
    try:
        while done < len(text):
            piece = text[done : done + PIECE_BYTES]
            done += utf_8_decode(piece, "strict", done + PIECE_BYTES >= len(text))[1]
    except UnicodeDecodeError as error:
        return Refusal("invalid_utf8", f"byte {offset + done + error.start + 1}: {error.reason}")
    return None
