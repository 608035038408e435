"""Text that no terminal obeys, and that is no longer than people read."""

import re

#: So many characters of a text of the evidence are shown where the text itself is not what was asked for.
LONGEST = 200

#: And so many of a path, so that what is said of it fits in too.
LONGEST_PATH = 160

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return text in which no character can move a cursor, colour a terminal or turn the direction of reading."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_text(text: str) -> bool:
    """Return whether text holds characters alone: what was not UTF-8 on the command line is half a character here."""
    return text.isprintable() or not any("\ud800" <= character <= "\udfff" for character in text)


def short(text: str, longest: int = LONGEST) -> str:
    """Return text on one line, in which no character is obeyed; of a longer one so many characters, the last an ellipsis."""
    line = harmless(text[: longest + 1])
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def short_place(path: str, item: int | str) -> str:
    """Return the place of an item, ``path:item``, of a long path the beginning."""
    return f"{short(path, LONGEST_PATH)}:{item}"
