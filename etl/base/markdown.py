"""Markdown for people: tables, and text of which nothing is taken for Markdown, HTML or a link."""

import re
from collections.abc import Sequence

from etl.base.terminal import harmless, short

#: What could mean something anywhere in a line: an underscore only at the edge of a word, a slash only where an address begins.
_ANYWHERE = re.compile(r"[\\`*\[\]|~$@<&]|(?<![^\W_])_|_(?![^\W_])|(?<=:)/|(?<=www)\.", re.IGNORECASE)

#: What could mean something at the beginning of a line: a heading, an item of a list, a quotation, a rule.
_AT_FIRST = re.compile(r"^(\d*)([#>+=.)-])")

#: What the Markdown of some tools reads in spite of a backslash.
_ENTITIES = {"<": "&lt;", "&": "&amp;"}


def inert(text: str) -> str:
    """Return a text on one line that shows as it is, wherever it stands in a line of Markdown."""
    escaped = _ANYWHERE.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), harmless(text).strip())
    return _AT_FIRST.sub(r"\1\\\2", escaped)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown; its numbers are aligned to the right, and long texts are cut."""
    if not rows:
        return "None."
    rule = ["---:" if isinstance(cell, int) else "---" for cell in rows[0]]
    lines = [head, *([inert(short(str(cell))) for cell in row] for row in rows)]
    first, *others = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([first, f"|{'|'.join(rule)}|", *others])
