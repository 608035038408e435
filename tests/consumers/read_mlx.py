"""Reads an exported folder with MLX-LM's loader, and prints what its dataset makes tokens of.

``python read_mlx.py FOLDER``; the last line is a JSON document. Its tokenizer is asked for nothing but a text of the messages.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlx_lm.tuner.datasets import load_local_dataset


class Tokenizer:
    """Takes a character for a token."""

    def apply_chat_template(self, messages: list[Any], tools: list[Any] | None = None, **_: object) -> list[int]:
        """Return the roles and contents, a number for each character."""
        assert tools is None or isinstance(tools, list)
        return [*map(ord, "".join(message["role"] + message["content"] for message in messages))]


def main(folder: Path) -> None:
    """Print how many rows each file has, and whether the masked part is all but the last message."""
    sides = load_local_dataset(folder, Tokenizer(), SimpleNamespace(mask_prompt=True))
    found = {}
    for name, rows in zip(("train", "valid", "test"), sides, strict=True):
        made = [rows.process(row) for row in rows]
        lasts = [row["messages"][-1] for row in rows]
        is_masked = [
            "".join(map(chr, tokens[offset:])) == last["role"] + last["content"]
            for (tokens, offset), last in zip(made, lasts, strict=True)
        ]
        found[name] = {"kind": type(rows).__name__, "rows": len(rows), "masked": sum(is_masked)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
