"""Lines of evidence, judged strictly: RFC 8259, one object, no key twice, not too deep, not too many values."""

from codecs import utf_8_decode
from collections.abc import Iterator
from typing import NamedTuple

from jiter import from_json

#: A line is looked through in pieces of this many bytes: split as a whole, its parts could take many times its length.
PIECE_BYTES = 1 << 20

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NO_OPENINGS = _NO_BRACKETS + b"]}"
_REPEATED = "Detected duplicate key "
_NAMED = {b"\xef\xbb\xbf": "a byte order mark", b"NaN": "NaN is not JSON", b"Infinity": "Infinity is not JSON"}
_TYPES = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}


class Refusal(NamedTuple):
    """Why a line is not evidence; ``reason`` is a reason of ``evidence.skipped``."""

    reason: str
    detail: str


def is_blank(line: bytes) -> bool:
    """Return whether a line holds only spaces, tabs and carriage returns."""
    return not line.strip(b" \t\r")


def judge(line: bytes, max_depth: int, max_values: int) -> Refusal | None:
    """Return why a line that is not blank is refused, or None if it is one JSON object.

    The reasons, the first that applies: invalid_utf8, too_large, too_deep, malformed_json, duplicate_key, not_an_object.
    ``max_values`` bounds the memory that the parser takes; it reads 200 brackets deep, so ``max_depth`` is 200 at the most.
    """
    if len(line) > max_values and _values(line) > max_values and sum(map(_values, _unquoted(line))) > max_values:
        refusal = Refusal(
            "too_large", f"more than {max_values} commas and opening brackets outside strings (setting max_values)"
        )
    elif len(line.translate(None, _NO_OPENINGS)) > max_depth and _is_deeper(line, max_depth):
        refusal = Refusal("too_deep", f"more than {max_depth} brackets are open at once (setting max_depth)")
    else:
        try:
            value = from_json(line, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True)
        except ValueError as error:
            refusal = _fault(line, error)
        else:
            if type(value) is dict:
                return None
            refusal = Refusal("not_an_object", f"the line is {_TYPES.get(type(value), 'a number')}")
    return _bad_encoding(line) or refusal


def _values(text: bytes) -> int:
    """Return how many commas and opening brackets there are: one stands before each value of a line but the first."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _unquoted(line: bytes) -> Iterator[bytes]:
    """Yield what stands outside strings, piece by piece."""
    plain = line.replace(rb"\\", b"").replace(rb"\"", b"")
    is_inside = False
    for start in range(0, len(plain), PIECE_BYTES):
        parts = plain[start : start + PIECE_BYTES].split(b'"')
        yield b"".join(parts[is_inside::2])
        is_inside ^= len(parts) % 2 == 0


def _is_deeper(line: bytes, max_depth: int) -> bool:
    depth = 0
    for piece in _unquoted(line):
        for bracket in piece.translate(None, _NO_BRACKETS):
            depth = depth + 1 if bracket in b"[{" else max(depth - 1, 0)
            if depth > max_depth:
                return True
    return False


def _fault(line: bytes, error: ValueError) -> Refusal:
    """Return what is wrong with a line that the parser refused: a repeated key only if nothing worse comes after it."""
    what, _, column = str(error).rpartition(" at line 1 column ")
    if what.startswith(_REPEATED):
        try:
            from_json(line, allow_inf_nan=False, cache_mode="keys")
        except ValueError as worse:
            return _fault(line, worse)
        return Refusal("duplicate_key", f"{what.removeprefix(_REPEATED)} stands twice in one object")
    if what == "number out of range":
        return Refusal("too_large", f"byte {column}: a number has more than 4,300 digits")
    named = (name for word, name in _NAMED.items() if line.startswith(word, int(column) - 1))
    return Refusal("malformed_json", f"byte {column}: {next(named, what)}")


def _bad_encoding(line: bytes) -> Refusal | None:
    done = 0
    try:
        while done < len(line):
            piece = line[done : done + PIECE_BYTES]
            done += utf_8_decode(piece, "strict", done + PIECE_BYTES >= len(line))[1]
    except UnicodeDecodeError as error:
        return Refusal("invalid_utf8", f"byte {done + error.start + 1}: {error.reason}")
    return None
