"""Converts exported rows with LLaMA-Factory's own converters, and prints how many of each file it skipped.

``python convert_llamafactory.py FOLDER``; the last line is a JSON document.
"""

import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import datasets
from parts_of_packages import skip_start_of, stand_in_for

WARNINGS: list[str] = []


def noted(_: str) -> SimpleNamespace:
    """Return what the converters warn with."""
    return SimpleNamespace(warning_rank0=WARNINGS.append, warning_rank0_once=WARNINGS.append, info_rank0=print)


skip_start_of("llamafactory", "llamafactory.data", "llamafactory.extras")
stand_in_for("llamafactory.extras.logging", get_logger=noted)
stand_in_for("llamafactory.extras.constants", DATA_CONFIG="dataset_info.json")
stand_in_for("llamafactory.extras.misc", use_modelscope=bool, use_openmind=bool)

from llamafactory.data.converter import get_dataset_converter
from llamafactory.data.parser import get_dataset_list


def main(folder: Path) -> None:
    """Print, for each entry of dataset_info.json, how many rows there are and how many have an answer after conversion."""
    names = [*json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))]
    found = {}
    with tempfile.TemporaryDirectory() as cache:
        for name, entry in zip(names, get_dataset_list(names, str(folder)), strict=True):
            WARNINGS.clear()
            convert = get_dataset_converter(entry.formatting, entry, SimpleNamespace(media_dir=None))
            file = str(folder / entry.dataset_name)
            rows = datasets.load_dataset("json", data_files=file, split="train", cache_dir=cache)
            made = [convert(row) for row in rows]
            answers = 2 if entry.ranking else 1
            whole = sum(len(row["_response"]) == answers and bool(row["_prompt"]) for row in made)
            found[name] = {"rows": len(rows), "whole": whole, "warnings": WARNINGS[:3]}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
