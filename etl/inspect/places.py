"""Places as people write them: a path, a colon, and the number of an item."""

import re

#: No file has an item of a longer number.
_PLACE = re.compile(r"(?P<path>.+):(?P<item>[0-9]{1,18})", re.DOTALL)

#: How Python holds a byte of an argument that is not UTF-8. In a source_path it is the replacement character and its value.
_ODD_BYTE = re.compile("[\udc80-\udcff]")


def as_evidence_spells(argument: str) -> str:
    """Return an argument of the command with its bytes that are not UTF-8 as a source_path has them."""
    return _ODD_BYTE.sub(lambda byte: f"\ufffd{ord(byte[0]) - 0xDC00:02x}", argument)


def parse_place(text: str) -> tuple[str, int] | None:
    """Return the path and the number of the item; None where a text is not a place."""
    place = _PLACE.fullmatch(text)
    return (place["path"], int(place["item"])) if place else None


def paths_of(path: str) -> list[str]:
    """Return the paths, from the evidence folder, that a person can mean with one."""
    path = path.removeprefix("./")
    return [path, path.removeprefix("evidence/")]
