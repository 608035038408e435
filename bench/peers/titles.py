"""The title of a prompt, for the peers in Python: its first line, cut between two words where it is long."""

import re


def title_of(prompt: str) -> str | None:
    """Return the first line, up to 120 characters; None where that is blank."""
    line = re.split(r"[\n\r]", prompt.strip(), maxsplit=1)[0]
    if len(line) > 120:
        beginning = re.match(r"(.*)\s", line[:121])
        line = beginning[1].strip() if beginning else line[:120]
    return line or None
