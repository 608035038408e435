"""Text that no terminal obeys."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return text in which no character can move a cursor, colour a terminal or turn the direction of reading."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
